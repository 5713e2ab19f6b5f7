package wire

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

var http = Framing{
	Name: "http",
	Doc: "HTTP/1.1 over connections that stay open: GET / where the request is 0 bytes, else POST / with a body of so many. " +
		"Replies with Content-Length or chunked; a status other than 2xx is an error. Sizes count the body.",
	Matched: func(Params) bool { return false },
	Bare:    true,
	Theirs:  true,
	Streams: true,
	Anew:    true,
	Client:  func(Params) Codec { return httpCodec{} },
	Server:  func(p Params) Codec { return httpCodec{server: true, reply: p.Reply} },
}

type httpCodec struct {
	server bool
	reply  int64
}

const (
	httpGet  = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
	httpPost = "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: "
	httpOK   = "HTTP/1.1 200 OK\r\nContent-Length: "
)

const httpHead = 1 // the Op of a request whose reply has no body

func (c httpCodec) Put(f *Frame, m Message) {
	h, body := f.head[:0], m.Size
	switch {
	case c.server:
		h = strconv.AppendInt(append(h, httpOK...), m.Size, 10)
		if m.Last {
			h = append(h, "\r\nConnection: close"...)
		}
		if h = append(h, "\r\n\r\n"...); m.Op == httpHead {
			body = 0
		}
	case body == 0:
		h = append(h, httpGet...)
	default:
		h = append(strconv.AppendInt(append(h, httpPost...), body, 10), "\r\n\r\n"...)
	}
	f.head, f.body = h, body
}

// What the next byte is part of.
const (
	httpStart   = iota // the request line or the status line
	httpName           // a header's name, or the empty line that ends the head
	httpValue          // the value of one of those that matter
	httpSkip           // the rest of a line that does not
	httpBody           // a body of known length
	httpSize           // a chunk's size
	httpData           // a chunk
	httpDataEnd        // the end of the line behind it
	httpTrailer        // the first byte behind the last chunk, or behind a trailer
)

// Bits of State.seen.
const (
	httpOld     = 1 << iota // HTTP/1.0
	httpInterim             // 1xx: the reply is still to come
	httpNoBody              // 204, 304
	httpLength              // Content-Length
	httpCoded               // Transfer-Encoding, …
	httpChunked             // … and its last word is chunked
	httpClose               // Connection: close
	httpKeep                // Connection: keep-alive
)

// Headers that matter, as State.words while their value is read.
const (
	httpContentLength = iota
	httpTransferEncoding
	httpConnection
)

func (c httpCodec) Scan(st *State, b []byte) (used int, done bool, err error) {
	if st.got == 0 {
		st.Msg = Message{Reply: c.reply}
	}
	for used < len(b) && !done && err == nil {
		switch st.at {
		case httpBody, httpData:
			n := min(int64(len(b)-used), st.left)
			used += int(n)
			if st.left -= n; st.left == 0 {
				done = st.at == httpBody
				st.at = httpDataEnd
			}
		case httpSkip:
			n := bytes.IndexByte(b[used:], '\n') + 1
			whole := n > 0
			if !whole {
				n = len(b) - used
			}
			used += n
			if err = st.spend(n); whole && err == nil {
				err = c.skipped(st)
			}
		default:
			n := 0
			if st.at <= httpName || st.at == httpValue && st.words != httpContentLength {
				if !st.cr {
					n = st.gather(b[used:])
				}
			}
			if n > 0 {
				used += n
				err = st.spend(n)
				break
			}
			if err = st.spend(1); err == nil {
				done, err = c.step(st, b[used])
			}
			used++
		}
	}
	return st.ended(used, done, err)
}

// step takes one byte of a line.
func (c httpCodec) step(st *State, b byte) (done bool, err error) {
	switch {
	case b == '\n': // one without a carriage return before it is taken too, as RFC 9112 allows
		st.cr = false
		return c.endLine(st)
	case st.cr:
		return false, errors.New("a carriage return within a line")
	case b == '\r':
		st.cr = true
		return false, nil
	}
	switch st.at {
	case httpStart:
		if b != ' ' {
			st.keep(b)
			return false, nil
		}
		return false, c.startWord(st)
	case httpName:
		switch {
		case b == ':':
			return false, st.named()
		case b <= ' ' || b >= 0x7f:
			return false, fmt.Errorf("a header's name holds %q", b)
		}
		st.keep(b)
	case httpValue:
		return false, st.value(b)
	case httpSize:
		if b == ';' || b == ' ' || b == '\t' {
			st.at, st.next = httpSkip, httpSize
			return false, nil
		}
		d := strings.IndexByte("0123456789abcdefABCDEF", b)
		if d > 15 {
			d -= 6
		}
		if st.n, st.left = 1, st.left<<4|int64(d); d < 0 || st.left > MaxFrame {
			return false, fmt.Errorf("%q in the size of a chunk, or one of more than %d bytes", b, MaxFrame)
		}
	case httpDataEnd:
		return false, errors.New("a chunk is longer than it says")
	case httpTrailer:
		st.at, st.next = httpSkip, httpTrailer
	}
	return false, nil
}

// startWord looks at a word of the first line.
func (c httpCodec) startWord(st *State) error {
	w := st.word()
	version, status := 0, 1
	if c.server {
		version, status = 2, -1
	}
	switch int(st.words) {
	case version:
		if len(w) != 8 || string(w[:7]) != "http/1." || w[7] != '0' && w[7] != '1' {
			return errors.New("the first line does not say HTTP/1.1")
		}
		if w[7] == '0' {
			st.seen |= httpOld
		}
	case status:
		if len(w) != 3 || w[0] < '1' || w[0] > '9' || w[1] < '0' || w[1] > '9' || w[2] < '0' || w[2] > '9' {
			return errors.New("the first line has no status")
		}
		st.Msg.Error = w[0] != '2'
		switch string(w) {
		case "101":
			return errors.New("the server goes on in another protocol")
		case "204", "304":
			st.seen |= httpNoBody
		}
		if w[0] == '1' {
			st.seen |= httpInterim
		}
	case 0: // of a request
		if st.n == 0 {
			return errors.New("the first line names no method")
		}
		if string(w) == "head" {
			st.Msg.Op = httpHead
		}
	case 1: // of a request
		if st.n == 0 {
			return errors.New("the first line names no target")
		}
	default:
		if c.server {
			return errors.New("the first line has more than three words")
		}
	}
	st.words, st.n = min(st.words+1, 3), 0
	return nil
}

// named looks at a header's name.
func (st *State) named() error {
	st.at = httpValue
	switch string(st.word()) {
	case "content-length":
		if st.words = httpContentLength; st.seen&httpLength != 0 {
			return errors.New("two headers Content-Length")
		}
		st.seen |= httpLength
		st.left = 0
	case "transfer-encoding":
		st.words = httpTransferEncoding
		st.seen |= httpCoded
	case "connection":
		st.words = httpConnection
	default:
		if st.n == 0 {
			return errors.New("a header has no name")
		}
		st.at, st.next = httpSkip, httpName
	}
	st.n = 0
	return nil
}

// value takes one byte of the value of a header that matters.
func (st *State) value(b byte) error {
	space := b == ' ' || b == '\t'
	if st.words != httpContentLength {
		switch {
		case b == ',':
			st.listed()
		case !space:
			st.keep(b)
		}
		return nil
	}
	switch { // n: 0 before the digits, 1 among them, 2 behind them
	case space:
		if st.n == 1 {
			st.n = 2
		}
	case b < '0' || b > '9' || st.n == 2:
		return fmt.Errorf("%q in Content-Length", b)
	default:
		if st.n, st.left = 1, st.left*10+int64(b-'0'); st.left > MaxFrame {
			return fmt.Errorf("a body of more than %d bytes", MaxFrame)
		}
	}
	return nil
}

// listed looks at one word of a header that is a list.
func (st *State) listed() {
	w := string(st.word())
	switch {
	case st.n == 0:
	case st.words == httpTransferEncoding && w == "chunked":
		st.seen |= httpChunked
	case st.words == httpTransferEncoding:
		st.seen &^= httpChunked
	case w == "close":
		st.seen |= httpClose
	case w == "keep-alive":
		st.seen |= httpKeep
	}
	st.n = 0
}

// skipped follows the rest of a line that did not matter.
func (c httpCodec) skipped(st *State) error {
	if st.at = st.next; st.at == httpSize {
		return st.sized()
	}
	return nil
}

func (c httpCodec) endLine(st *State) (done bool, err error) {
	switch st.at {
	case httpStart:
		if err := c.startWord(st); err != nil {
			return false, err
		}
		if st.words < 2 || c.server && st.words < 3 {
			return false, errors.New("the first line is too short")
		}
		st.at = httpName
	case httpName:
		if st.n == 0 {
			return c.endHead(st)
		}
		return false, errors.New("a header without a colon")
	case httpValue:
		if st.words != httpContentLength {
			st.listed()
		} else if st.n == 0 {
			return false, errors.New("Content-Length is empty")
		}
		st.at, st.n = httpName, 0
	case httpSize:
		return false, st.sized()
	case httpDataEnd:
		st.at, st.n, st.left, st.meta = httpSize, 0, 0, 0
	case httpTrailer:
		return true, nil
	}
	return false, nil
}

// endHead says what follows the head.
func (c httpCodec) endHead(st *State) (done bool, err error) {
	if st.seen&httpInterim != 0 {
		st.Msg.Error, st.text = false, text{meta: st.meta}
		return false, nil
	}
	st.Msg.Last = st.seen&httpClose != 0 || st.seen&(httpOld|httpKeep) == httpOld
	switch coded, sized := st.seen&httpCoded != 0, st.seen&httpLength != 0; {
	case st.seen&httpNoBody != 0:
		return true, nil
	case coded && sized:
		return false, errors.New("both Content-Length and Transfer-Encoding")
	case coded && st.seen&httpChunked == 0:
		return false, errors.New("a Transfer-Encoding that does not end in chunked")
	case coded:
		st.at, st.left, st.meta = httpSize, 0, 0
		return false, nil
	case sized:
		st.at, st.Msg.Size = httpBody, st.left
		return st.left == 0, nil
	}
	if !c.server {
		return false, errors.New("neither Content-Length nor chunked: where the reply ends only the end of the connection would say")
	}
	return true, nil
}

// sized follows the line with a chunk's size.
func (st *State) sized() error {
	if st.n == 0 {
		return errors.New("a chunk has no size")
	}
	if st.at, st.meta = httpData, 0; st.left == 0 {
		st.at = httpTrailer
	}
	if st.Msg.Size += st.left; st.Msg.Size > MaxFrame {
		return fmt.Errorf("a body of more than %d bytes", MaxFrame)
	}
	return nil
}
