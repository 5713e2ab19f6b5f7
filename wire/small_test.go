package wire

import "testing"

// A message that is taken out in pieces, however small, is the message: what reads it finds one, and nothing behind it.
func TestNextInSmallPieces(t *testing.T) {
	for i := range All {
		p := Params{Request: 300, Reply: 300, Keys: 10, Reads: .5}
		client, server := All[i].Client(p), All[i].Server(p)
		for _, c := range []struct{ writes, reads Codec }{{client, server}, {server, client}} {
			for _, size := range []int{1, 2, 7, 13, 100} {
				var f Frame
				c.writes.Put(&f, Message{ID: 1, Size: 300, Reply: 300})
				n := f.Len()
				var all []byte
				for f.Left() > 0 {
					b := f.Next(make([]byte, size))
					b = b[:min(len(b), size)] // of a long body more is handed out, which is no copy
					all = append(all, b...)
					f.Wrote(len(b))
				}
				var st State
				used, done, err := c.reads.Scan(&st, all)
				if int64(len(all)) != n || used != len(all) || !done || err != nil {
					t.Errorf("%s by %d: of %d bytes %d came, %d of which are a message: %v, %v", All[i].Name, size, n, len(all), used, done, err)
				}
			}
		}
	}
}
