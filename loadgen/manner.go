package loadgen

import "github.com/sockbench/sockbench/wire"

// manner is how a request of two pieces, head and body, is written.
type manner uint8

const (
	single   manner = iota // one buffer, one write
	split                  // two writes
	vectored               // two buffers, one writev
	corked                 // TCP_CORK, two writes, and the cork out again
)

// pieces is what of f to write next, at most so many bytes: in one write, or where b is not nil both in one writev.
func (m manner) pieces(f *wire.Frame, buf []byte, most int) (a, b []byte) {
	a = f.Next(buf)
	a = a[:min(len(a), most)]
	if m == single {
		return a, nil
	}
	first := f.Cut() - (f.Len() - f.Left())
	switch {
	case first <= 0 || first >= int64(len(a)):
		return a, nil
	case m == vectored:
		return a[:first], a[first:]
	}
	return a[:first], nil
}
