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

// write makes one write of what is left of f.
func (m manner) write(fd int32, f *wire.Frame, buf []byte) (int, error) {
	b := f.Next(buf)
	if m == single {
		return write(fd, b)
	}
	gone := f.Len() - f.Left()
	if m == corked && gone == 0 {
		if err := cork(fd, 1); err != nil {
			return -1, err
		}
	}
	first := f.Cut() - gone
	switch {
	case first <= 0 || first >= int64(len(b)):
		return write(fd, b)
	case m == vectored:
		return writev(fd, b[:first], b[first:])
	}
	return write(fd, b[:first])
}
