package sockopt

import (
	"reflect"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// named is what a field of unix.TCPInfo is called here; "": it is left out.
func named(field string) string {
	name := strings.ToLower(field)
	switch name {
	case "_", "fackets", "last_ack_sent", "options": // options are bits, each a field of its own
		return ""
	case "busy_time":
		return "busy_us"
	case "rto", "ato", "rtt", "rttvar", "min_rtt", "rcv_rtt", "rwnd_limited", "sndbuf_limited":
		return name + "_us"
	case "last_data_sent", "last_data_recv", "last_ack_recv", "total_rto_time":
		return name + "_ms"
	}
	return name
}

// Whatever the kernel's length, all fields that end within it have their values, and no other is there at all.
func TestTCPInfoOfEveryLength(t *testing.T) {
	var info TCPInfo
	for i := range info.raw {
		info.raw[i] = byte(i*37 + 11)
	}
	type known struct {
		value int64
		need  int // bytes
	}
	want := map[string]known{}
	kernel := *(*unix.TCPInfo)(unsafe.Pointer(&info.raw))
	for v, i := reflect.ValueOf(kernel), 0; i < v.NumField(); i++ {
		f := v.Type().Field(i)
		if name := named(f.Name); name != "" {
			want[name] = known{int64(v.Field(i).Uint()), int(f.Offset + f.Type.Size())}
		}
	}
	if unsafe.Sizeof(kernel) != 280 || len(want) < 50 {
		t.Fatalf("TCP_INFO has %d bytes, %d fields", unsafe.Sizeof(kernel), len(want))
	}
	for i, name := range []string{"timestamps", "sack", "wscale", "ecn", "ecn_seen", "tfo", "usec_ts", "tfo_child"} {
		want[name] = known{int64(info.raw[5] >> i & 1), map[string]int{"usec_ts": 248, "tfo_child": 280}[name]}
		if want[name].need == 0 {
			want[name] = known{want[name].value, 6}
		}
	}
	want["snd_wscale"], want["rcv_wscale"] = known{int64(info.raw[6] & 15), 7}, known{int64(info.raw[6] >> 4), 7}
	want["app_limited"], want["fastopen_client_fail"] = known{int64(info.raw[7] & 1), 168}, known{int64(info.raw[7] >> 1 & 3), 236}
	for info.Len = range 281 {
		var all sums
		all.add(&info)
		all.add(&info)
		var s Sockets
		all.report(&s)
		for name, w := range want {
			v, there := s.Worst[name]
			if there != (w.need <= info.Len) || there && v != w.value {
				t.Errorf("%d bytes: %s is %d, %v; want %d from %d bytes on", info.Len, name, v, there, w.value, w.need)
			}
			if sum, summed := s.TCP[name]; summed && (!there || sum != 2*v) {
				t.Errorf("%d bytes: %s is %d twice, and their sum %d", info.Len, name, v, sum)
			}
		}
		for name := range s.Worst {
			if _, known := want[name]; !known {
				t.Errorf("%d bytes: there is no field %s", info.Len, name)
			}
		}
		var sample Sample
		sample.add(&info, -1)
		if got := sample.SndWnd; info.Len > 0 && (got == -1) != (info.Len < 232) {
			t.Errorf("%d bytes: a sample says that the window is %d", info.Len, got)
		}
	}
	for i := range 8 { // by all ones the kernel says that there is no limit
		info.raw[unsafe.Offsetof(kernel.Max_pacing_rate)+uintptr(i)] = 0xff
	}
	if v, ok := info.field(tcpNumber["max_pacing_rate"]); ok {
		t.Errorf("no limit is %d", v)
	}
}

// Samples of connections of which one does not say something do not say it either.
func TestSampleAbsent(t *testing.T) {
	long, short := TCPInfo{Len: 280}, TCPInfo{Len: 104}
	for _, order := range [][]*TCPInfo{{&long, &short}, {&short, &long}} {
		var s Sample
		for _, info := range order {
			s.add(info, 7)
		}
		if s.Connections != 2 || s.RTT != 0 || s.Cwnd != 0 || s.RecvQueue != 14 || s.BytesAcked != -1 || s.Busy != -1 || s.SndWnd != -1 || s.AppLimited != -1 {
			t.Errorf("%+v", s)
		}
	}
}

// full writes until no more goes in, and says how much went.
func full(t *testing.T, fd int) (n int) {
	t.Helper()
	for b := make([]byte, 64<<10); ; {
		k, err := unix.SendmsgN(fd, b, nil, nil, unix.MSG_DONTWAIT)
		if err == unix.EAGAIN {
			return n
		}
		if err != nil {
			t.Fatal(err)
		}
		n += k
	}
}

// Window scales are those of the buffers, each side's of both; the rate of a sender who has sent a little is limited by
// itself, and that of one whose queue never empties is not.
func TestTCPInfoBits(t *testing.T) {
	cfd, sfd := pair(t, NewTally([]Setting{setting(t, "SO_RCVBUF", "16KiB", Client)}), NewTally(nil), unix.SOCK_NONBLOCK)
	var c, s TCPInfo
	look := func() { c.Read(cfd); s.Read(sfd) }
	look()
	t.Logf("TCP_INFO has %d bytes", c.Len)
	if c.at("rcv_wscale") != 0 || s.at("snd_wscale") != 0 || c.at("snd_wscale") < 1 || c.at("snd_wscale") != s.at("rcv_wscale") {
		t.Errorf("window scales: client sends %d, receives %d; server %d, %d", c.at("snd_wscale"), c.at("rcv_wscale"), s.at("snd_wscale"), s.at("rcv_wscale"))
	}
	if c.at("state") != 1 || c.at("wscale") != 1 || c.at("tfo") != 0 || c.at("min_rtt_us") < 0 {
		t.Errorf("state %d, wscale %d, tfo %d, min_rtt %d", c.at("state"), c.at("wscale"), c.at("tfo"), c.at("min_rtt_us"))
	}
	if _, err := unix.Write(cfd, make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	if look(); c.at("app_limited") != 1 {
		t.Errorf("a sender of 100 bytes: app_limited is %d", c.at("app_limited"))
	}
	buf := make([]byte, 256<<10)
	for range 1000 {
		full(t, cfd)
		if look(); c.at("app_limited") == 0 {
			break
		}
		if _, err := unix.Read(sfd, buf); err != nil {
			t.Fatal(err)
		}
	}
	if c.at("app_limited") != 0 {
		t.Errorf("a sender whose queue holds %d bytes: app_limited is %d", c.at("notsent_bytes"), c.at("app_limited"))
	}
}
