package wire

import "fmt"

// textMax is the most bytes of a head, or of a line, that a framing of text reads.
const textMax = 64 << 10

// text is the rest of a State for framings of text, which end where they say and not after so many bytes.
type text struct {
	at    uint8 // what the next byte is part of
	next  uint8 // … and what follows when the rest of the line has been skipped
	n     uint8 // bytes of a word in head; more than headMax: it is longer
	words uint8 // of this line, or what kind of line it is
	seen  uint8 // bits of the framing's own
	cr    bool  // the byte before was a carriage return
	meta  int32 // bytes of the head so far
	left  int64 // a number being read; of a body, what is still to come
}

// keep appends a byte of a word, in lower case.
func (st *State) keep(c byte) {
	if c >= 'A' && c <= 'Z' {
		c += 'a' - 'A'
	}
	if st.n < headMax {
		st.head[st.n] = c
	}
	st.n = min(st.n+1, headMax+1)
}

// lower is a byte of a word in lower case, or 0 for one that may end a word.
var lower = func() (table [256]byte) {
	for c := '!'; c < 0x7f; c++ {
		if table[c] = byte(c); c >= 'A' && c <= 'Z' {
			table[c] += 'a' - 'A'
		}
	}
	table[':'], table[','] = 0, 0
	return table
}()

// gather keeps the bytes of b up to one that may end the word, and says how many.
func (st *State) gather(b []byte) int {
	for i, c := range b {
		if c = lower[c]; c == 0 {
			return i
		}
		if st.n < headMax {
			st.head[st.n] = c
			st.n++
		} else {
			st.n = headMax + 1
		}
	}
	return len(b)
}

// word is the word that keep has gathered, or something that is none where it is too long.
func (st *State) word() []byte {
	if st.n > headMax {
		return nil
	}
	return st.head[:st.n]
}

// spend counts n more bytes of a head.
func (st *State) spend(n int) error {
	if st.meta += int32(n); st.meta > textMax {
		return fmt.Errorf("a head of more than %d bytes", textMax)
	}
	return nil
}

// ended finishes a call of Scan that used so many bytes.
func (st *State) ended(used int, done bool, err error) (int, bool, error) {
	if done {
		st.got, st.text = 0, text{}
	} else {
		st.got += int64(used)
	}
	return used, done, err
}
