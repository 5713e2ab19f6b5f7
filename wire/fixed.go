package wire

import "encoding/binary"

var fixed = Framing{
	Name:    "fixed",
	Doc:     "Messages of a size both sides know. The first 8 bytes carry the request id where request and reply are that long.",
	Min:     1,
	Matched: matched,
	Client:  func(p Params) Codec { return fixedCodec{scans: p.Reply, ids: matched(p)} },
	Server:  func(p Params) Codec { return fixedCodec{scans: p.Request, reply: p.Reply, ids: matched(p)} },
}

func matched(p Params) bool { return p.Request >= 8 && p.Reply >= 8 }

type fixedCodec struct {
	scans, reply int64
	ids          bool
}

func (c fixedCodec) Put(f *Frame, m Message) {
	f.body = m.Size
	if c.ids {
		f.head = binary.BigEndian.AppendUint64(f.head[:0], m.ID)
		f.body -= 8
	}
}

func (c fixedCodec) Scan(st *State, b []byte) (used int, done bool, err error) {
	if c.ids && st.got < 8 {
		used = copy(st.head[st.got:8], b)
	}
	used += int(min(int64(len(b)-used), c.scans-st.got-int64(used)))
	if st.got += int64(used); st.got < c.scans {
		return used, false, nil
	}
	st.Msg = Message{Size: c.scans, Reply: c.reply}
	if c.ids {
		st.Msg.ID = binary.BigEndian.Uint64(st.head[:])
	}
	st.got = 0
	return used, true, nil
}
