package wire

// fillerMax is the most bytes one call of Next hands out.
const fillerMax = 64 << 10

// filler is what bodies are made of: printable, with no newline, shared and never written to.
var filler = func() []byte {
	const letters = "abcdefghijklmnopqrstuvwxyz012345"
	b := make([]byte, fillerMax)
	for i := range b {
		b[i] = letters[i%len(letters)]
	}
	return b
}()

// Frame is one message on its way out: head, filler body, tail. It remembers how much has gone, so that a write which
// took only part can go on later without anyone having kept the bytes. The zero Frame is empty. Reusing a Frame does
// not allocate.
type Frame struct {
	head []byte
	body int64
	tail string
	gone int64

	packed *[]byte // the body, instead of filler; nil: it is that
}

// Len is the whole message's length in bytes.
func (f *Frame) Len() int64 { return int64(len(f.head)) + f.body + int64(len(f.tail)) }

// Left is how many bytes are still to be written.
func (f *Frame) Left() int64 { return f.Len() - f.gone }

// Cut is where the split way of writing divides the message: behind its head, or in the middle where it has none.
func (f *Frame) Cut() int64 {
	if n := int64(len(f.head)); n > 0 && n < f.Len() {
		return n
	}
	return f.Len() / 2
}

// Next returns bytes to write now: all that is left when it fits buf, else some of it and never nothing while Left is
// positive. The result is valid until buf is used again and must not be written to.
func (f *Frame) Next(buf []byte) []byte {
	at := f.gone
	h := int64(len(f.head))
	if at >= h && at < h+f.body && f.body > int64(len(buf)) {
		if f.packed != nil {
			return (*f.packed)[at-h:]
		}
		return filler[:min(h+f.body-at, fillerMax)] // long body: no copy
	}
	out := buf[:0]
	if at < h {
		out = append(out, f.head[at:min(h, at+int64(cap(buf)))]...)
		at += int64(len(out))
	}
	for at < h+f.body && len(out) < cap(buf) {
		n := min(h+f.body-at, int64(cap(buf)-len(out)), fillerMax)
		if f.packed != nil {
			out = append(out, (*f.packed)[at-h:at-h+n]...)
			at += n
			continue
		}
		out = append(out, filler[:n]...)
		at += n
	}
	if at >= h+f.body {
		tail := f.tail[at-h-f.body:]
		out = append(out, tail[:min(len(tail), cap(buf)-len(out))]...)
	}
	return out
}

// Wrote says that n more bytes have gone.
func (f *Frame) Wrote(n int) { f.gone += int64(n) }

// Reset empties the frame for the next message.
func (f *Frame) Reset() {
	f.head, f.body, f.tail, f.gone = f.head[:0], 0, "", 0
	if f.packed != nil {
		bodies.give(f.packed)
		f.packed = nil
	}
}
