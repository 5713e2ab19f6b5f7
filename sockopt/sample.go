package sockopt

import "golang.org/x/sys/unix"

// watchMax is how many connections a look is at, which takes about a microsecond each.
const watchMax = 16

// Sample is what one side's connections were like at one moment. What this kernel does not say is −1.
type Sample struct {
	At            int64 `json:"at_ns"`             // since the measure phase began
	Connections   int64 `json:"connections"`       // that were looked at: at most 16
	RTT           int64 `json:"rtt_us"`            // smoothed, the longest
	MinRTT        int64 `json:"min_rtt_us"`        // of the same connection
	Cwnd          int64 `json:"snd_cwnd"`          // segments, added up
	SndWnd        int64 `json:"snd_wnd"`           // bytes that the peer takes, the fewest
	RcvWnd        int64 `json:"rcv_wnd"`           // bytes that the peer was told it may send, the fewest
	DeliveryRate  int64 `json:"delivery_rate"`     // bytes per second, added up
	AppLimited    int64 `json:"app_limited"`       // connections whose delivery rate is that of a sender who had no more to send
	BytesAcked    int64 `json:"bytes_acked"`       // ever, added up, as is all that follows
	NotSent       int64 `json:"notsent_bytes"`     // written and not sent yet
	RecvQueue     int64 `json:"recv_queue"`        // bytes that wait to be read
	Retrans       int64 `json:"total_retrans"`     // segments, ever
	Busy          int64 `json:"busy_us"`           // ever
	RwndLimited   int64 `json:"rwnd_limited_us"`   // of that, limited by the peer's window
	SndbufLimited int64 `json:"sndbuf_limited_us"` // of that, limited by the send buffer
}

// Look keeps what the first connections that are open are like now, which is at nanoseconds after the measure phase began.
// A connection cannot be closed meanwhile: Closing waits.
func (t *Tally) Look(at int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := Sample{At: at}
	for _, fd := range t.watched {
		var info TCPInfo
		info.Read(fd)
		unread, err := unix.IoctlGetInt(fd, unix.SIOCINQ)
		if err != nil {
			unread = -1
		}
		s.add(&info, int64(unread))
	}
	if s.Connections > 0 {
		t.samples = append(t.samples, s)
	}
}

// add counts in a connection, if it is one of TCP.
func (s *Sample) add(info *TCPInfo, unread int64) {
	if info.Len == 0 {
		return
	}
	if rtt := info.at("rtt_us"); s.Connections == 0 || rtt > s.RTT {
		s.RTT, s.MinRTT = rtt, info.at("min_rtt_us")
	}
	if s.Connections == 0 {
		s.SndWnd, s.RcvWnd = info.at("snd_wnd"), info.at("rcv_wnd")
	}
	s.Connections++
	s.SndWnd, s.RcvWnd = min(s.SndWnd, info.at("snd_wnd")), min(s.RcvWnd, info.at("rcv_wnd"))
	for _, sum := range [...]struct {
		of *int64
		v  int64
	}{
		{&s.Cwnd, info.at("snd_cwnd")}, {&s.DeliveryRate, info.at("delivery_rate")}, {&s.AppLimited, info.at("app_limited")},
		{&s.BytesAcked, info.at("bytes_acked")}, {&s.NotSent, info.at("notsent_bytes")}, {&s.RecvQueue, unread},
		{&s.Retrans, info.at("total_retrans")}, {&s.Busy, info.at("busy_us")}, {&s.RwndLimited, info.at("rwnd_limited_us")},
		{&s.SndbufLimited, info.at("sndbuf_limited_us")},
	} {
		if sum.v < 0 || *sum.of < 0 {
			*sum.of = -1
		} else {
			*sum.of += sum.v
		}
	}
}
