package wire

import (
	"bytes"
	"fmt"
)

var line = Framing{
	Name:    "line",
	Doc:     "Bytes up to a newline. Sizes count the newline. Replies match requests in order.",
	Min:     1,
	Matched: func(Params) bool { return false },
	Client:  func(Params) Codec { return lineCodec{} },
	Server:  func(p Params) Codec { return lineCodec{reply: p.Reply} },
}

type lineCodec struct{ reply int64 }

func (lineCodec) Put(f *Frame, m Message) { f.body, f.tail = m.Size-1, "\n" }

func (c lineCodec) Scan(st *State, b []byte) (used int, done bool, err error) {
	i := bytes.IndexByte(b, '\n')
	if used = i + 1; i < 0 {
		used = len(b)
	}
	if st.got += int64(used); st.got > MaxFrame {
		return used, false, fmt.Errorf("no newline within %d bytes", MaxFrame)
	}
	if i < 0 {
		return used, false, nil
	}
	st.Msg = Message{Size: st.got, Reply: c.reply}
	st.got = 0
	return used, true, nil
}
