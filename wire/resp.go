package wire

import (
	"bytes"
	"errors"
	"fmt"
	"math/bits"
	"strconv"
)

var resp = Framing{
	Name: "resp",
	Doc: "The protocol of Redis: PING, or with knob keys GET key:N and SET key:N, N of 12 digits. Replies in order; an error " +
		"reply is counted, a missing key is a reply. Sizes count the value: of the request that of SET, of the reply that of GET.",
	Matched: func(Params) bool { return false },
	Theirs:  true,
	Streams: true,
	Client:  func(p Params) Codec { return respClient{p} },
	Server:  func(p Params) Codec { return respServer{p.Reply} },
	Kinds: func(p Params) (kinds []Message) {
		if p.Keys == 0 {
			return []Message{{Op: respPing}}
		}
		if p.Reads > 0 {
			kinds = append(kinds, Message{Op: respGet})
		}
		if p.Reads < 1 {
			kinds = append(kinds, Message{Op: respSet, Size: p.Request})
		}
		return kinds
	},
}

// MaxKeys is the most keys that 12 digits name.
const MaxKeys = 1_000_000_000_000

// What is asked for.
const (
	respUnknown = iota
	respPing
	respGet
	respSet
	respArity // one of those, with too many words or too few
)

type respClient struct{ Params }

// Put asks for what the request's id says, unless m does.
func (c respClient) Put(f *Frame, m Message) {
	op, key := m.Op, int64(0)
	if op == respUnknown {
		op, key = c.draw(m.ID)
	}
	switch op {
	case respPing:
		f.head = append(f.head[:0], "*1\r\n$4\r\nPING\r\n"...)
	case respGet:
		f.head = append(appendKey(append(f.head[:0], "*2\r\n$3\r\nGET\r\n$16\r\nkey:"...), key), "\r\n"...)
	case respSet:
		h := append(appendKey(append(f.head[:0], "*3\r\n$3\r\nSET\r\n$16\r\nkey:"...), key), "\r\n$"...)
		f.head = append(strconv.AppendInt(h, c.Request, 10), "\r\n"...)
		f.body, f.tail = c.Request, "\r\n"
	}
}

// appendKey appends 12 digits, as redis-benchmark does: what it has stored is found.
func appendKey(b []byte, key int64) []byte {
	for unit := int64(MaxKeys / 10); unit > 0; unit /= 10 {
		b = append(b, byte('0'+key/unit%10))
	}
	return b
}

// draw says what the request of that id asks for: every run with the same seed asks for the same.
func (c respClient) draw(id uint64) (op uint8, key int64) {
	if c.Keys == 0 {
		return respPing, 0
	}
	h := scramble(id ^ scramble(c.Seed))
	n, _ := bits.Mul64(h, uint64(c.Keys))
	if float64(scramble(h)>>11)/(1<<53) < c.Reads {
		return respGet, int64(n)
	}
	return respSet, int64(n)
}

// scramble is SplitMix64 (Steele, Lea, Flood 2014): near numbers in, independent ones out.
func scramble(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// What the next byte is part of.
const (
	respStart  = iota // what kind of message it is
	respLine          // the rest of a line: of a short reply, or of a command as people type it
	respCount         // how many words a command has
	respBulk          // the sign before a word's length
	respLength        // the length of a word or a value
	respBytes         // it
	respEnd           // the end of the line behind it
)

// Bits of State.seen.
const (
	respNegative = 1 << iota
	respDigits
)

// line takes the rest of a line from b, and says of how many bytes and whether that was the end of it.
func (st *State) line(b []byte) (n int, end bool, err error) {
	if n = bytes.IndexByte(b, '\n') + 1; n == 0 {
		st.cr = b[len(b)-1] == '\r'
		return len(b), false, st.spend(len(b))
	}
	if n > 1 {
		st.cr = b[n-2] == '\r'
	}
	if !st.cr {
		return n, false, errNoReturn
	}
	st.cr = false
	return n, true, st.spend(n)
}

var errNoReturn = errors.New("a line does not end in a carriage return and a newline")

// newline takes one byte of a line's end, and says whether it is over.
func (st *State) newline(b byte) (end bool, err error) {
	switch {
	case b == '\r' && !st.cr:
		st.cr = true
		return false, nil
	case b == '\n' && st.cr:
		st.cr = false
		return true, nil
	}
	return false, errNoReturn
}

// number takes one byte of a line that is a number from -1 to most, and says whether it is over; the number is in left.
func (st *State) number(b byte, most int64) (end bool, err error) {
	switch {
	case !st.cr && b == '-' && st.seen == 0:
		st.seen = respNegative
	case !st.cr && b >= '0' && b <= '9':
		st.seen |= respDigits
		if st.left = st.left*10 + int64(b-'0'); st.left > most || st.seen&respNegative != 0 && st.left > 1 {
			return false, fmt.Errorf("a number that is not between -1 and %d", most)
		}
		return false, st.spend(1)
	case st.seen&respDigits != 0:
		if end, err = st.newline(b); end {
			if st.seen&respNegative != 0 {
				st.left = -st.left
			}
			st.seen = 0
		}
		return end, err
	default:
		return false, fmt.Errorf("%q in a number", b)
	}
	return false, nil
}

// body takes what b holds of a word or value, and says of how many bytes.
func (st *State) body(b []byte) int {
	n := min(int64(len(b)), st.left)
	if st.left -= n; st.left == 0 {
		st.at = respEnd
	}
	return int(n)
}

// Scan reads replies.
func (c respClient) Scan(st *State, b []byte) (used int, done bool, err error) {
	for used < len(b) && !done && err == nil {
		switch st.at {
		case respStart:
			switch kind := b[used]; kind {
			case '$':
				st.at = respLength
			case '+', '-', ':':
				st.at = respLine
			default:
				err = fmt.Errorf("a reply that begins with %q", kind)
			}
			st.Msg = Message{Error: b[used] == '-'}
			used++
		case respLine:
			var n int
			n, done, err = st.line(b[used:])
			used += n
		case respLength:
			var end bool
			end, err = st.number(b[used], MaxFrame)
			used++
			switch {
			case !end:
			case st.left < 0: // there is no such key
				done = true
			default:
				st.Msg.Size = st.left
				if st.at = respBytes; st.left == 0 {
					st.at = respEnd
				}
			}
		case respBytes:
			used += st.body(b[used:])
		case respEnd:
			done, err = st.newline(b[used])
			used++
		}
	}
	return st.ended(used, done, err)
}

type respServer struct{ reply int64 }

func (respServer) Put(f *Frame, m Message) {
	switch m.Op {
	case respPing:
		f.tail = "+PONG\r\n"
	case respSet:
		f.tail = "+OK\r\n"
	case respGet:
		f.head = append(strconv.AppendInt(append(f.head[:0], '$'), m.Size, 10), "\r\n"...)
		f.body, f.tail = m.Size, "\r\n"
	case respArity:
		f.tail = "-ERR wrong number of arguments\r\n"
	default:
		f.tail = "-ERR unknown command\r\n"
	}
}

// respWords is the most words of a command.
const respWords = 100

// Scan reads requests: arrays of words, or a line of words as people type it.
func (c respServer) Scan(st *State, b []byte) (used int, done bool, err error) {
	for used < len(b) && !done && err == nil {
		switch st.at {
		case respStart:
			st.Msg = Message{Reply: c.reply}
			if st.at = respLine; b[used] == '*' {
				st.at = respCount
				used++
			}
		case respLine:
			done, err = c.typed(st, b[used])
			used++
		case respCount:
			var end bool
			if end, err = st.number(b[used], respWords); end {
				if st.at, st.next = respBulk, uint8(st.left); st.left < 1 {
					err = errors.New("a command without words")
				}
			}
			used++
		case respBulk:
			if st.at, st.left = respLength, 0; b[used] != '$' {
				err = fmt.Errorf("a word of a command that begins with %q", b[used])
			}
			used++
		case respLength:
			var end bool
			if end, err = st.number(b[used], MaxFrame); end {
				err = c.word(st, st.got+int64(used))
			}
			used++
		case respBytes:
			n := st.body(b[used:])
			if st.words == 0 {
				for _, b := range b[used : used+n] {
					st.keep(b)
				}
			}
			used += n
		case respEnd:
			var end bool
			if end, err = st.newline(b[used]); end {
				st.at = respBulk
				if st.words++; st.words == st.next {
					st.Msg.Op = st.command()
					done = true
				}
			}
			used++
		}
	}
	return st.ended(used, done, err)
}

// word follows the length of a command's word.
func (c respServer) word(st *State, got int64) error {
	switch {
	case st.left < 0 || got+st.left > MaxFrame+textMax:
		return fmt.Errorf("a word of %d bytes, or a command of more than %d", st.left, MaxFrame)
	case st.words == 2:
		st.Msg.Size = st.left
	}
	if st.at = respBytes; st.left == 0 {
		st.at = respEnd
	}
	return nil
}

// typed takes one byte of a command that is a line.
func (c respServer) typed(st *State, b byte) (done bool, err error) {
	if err := st.spend(1); err != nil {
		return false, err
	}
	if st.cr || b == '\r' {
		if done, err = st.newline(b); done {
			st.Msg.Op = st.command()
		}
		return done, err
	}
	switch {
	case b == '\n':
		return false, errNoReturn
	case b == ' ':
		st.seen = 0
	default:
		if st.seen == 0 {
			st.seen = 1
			st.words = min(st.words+1, respWords)
		}
		if st.words == 1 {
			st.keep(b)
		} else if st.words == 3 {
			st.Msg.Size++
		}
	}
	return false, nil
}

// command is what a command of these words asks for.
func (st *State) command() uint8 {
	op, least, most := uint8(respUnknown), uint8(0), uint8(0)
	switch string(st.word()) {
	case "ping":
		op, least, most = respPing, 1, 1
	case "get":
		op, least, most = respGet, 2, 2
	case "set":
		op, least, most = respSet, 3, respWords
	}
	if op != respUnknown && (st.words < least || st.words > most) {
		return respArity
	}
	return op
}
