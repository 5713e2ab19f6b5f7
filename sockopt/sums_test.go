package sockopt

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// settled looks until what it sees is as it should be, for at most a second: acknowledgements take a while.
func settled(t *testing.T, look func() bool) bool {
	t.Helper()
	for end := time.Now().Add(time.Second); !look(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			return false
		}
	}
	return true
}

// What was written and is not read lies in a queue of one side or the other, byte for byte, over all connections.
func TestQueues(t *testing.T) {
	client, server := NewTally([]Setting{setting(t, "SO_SNDBUF", "64KiB", Client)}), NewTally([]Setting{setting(t, "SO_RCVBUF", "32KiB", Server)})
	written := 0
	for _, n := range []int{0, 5000, -1} {
		cfd, _ := pair(t, client, server, 0)
		if n < 0 {
			written += full(t, cfd)
		} else if k, err := unix.Write(cfd, make([]byte, n)); n > 0 && (k != n || err != nil) {
			t.Fatal(k, err)
		}
		written += max(n, 0)
	}
	var c, s map[string]int64
	if !settled(t, func() bool {
		c, s = client.Report().Mem, server.Report().Mem
		return c["send_queue"]+s["recv_queue"] == int64(written)
	}) {
		t.Errorf("of %d bytes %d wait to be read, %d to be acknowledged", written, s["recv_queue"], c["send_queue"])
	}
	if s["recv_queue"] < 5000 || c["unsent_queue"] <= 0 || c["unsent_queue"] > c["send_queue"] || c["recv_queue"] != 0 || s["send_queue"] != 0 || c["wmem_queued"] < c["send_queue"] || s["rmem_alloc"] < s["recv_queue"] {
		t.Errorf("client %v\nserver %v", c, s)
	}
	if c["sndbuf"] != 128<<10 || s["rcvbuf"] != 64<<10 || len(c) != len(memFields) {
		t.Errorf("the largest buffers of three: client %v\nserver %v", c, s)
	}
}

// A UDP socket with a small buffer drops what finds no room, and says how many datagrams.
func TestDrops(t *testing.T) {
	const sent = 50
	tally := NewTally([]Setting{setting(t, "SO_RCVBUF", "4KiB", Server)})
	udp := func() int {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.Close(fd) })
		return fd
	}
	fd, from := udp(), udp()
	tally.Fresh(fd)
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	tally.Opened(fd)
	to, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	for range sent {
		if err := unix.Sendto(from, make([]byte, 1000), 0, to); err != nil {
			t.Fatal(err)
		}
	}
	var read, dropped int64
	buf := make([]byte, 2000)
	if !settled(t, func() bool {
		for {
			if _, err := unix.Read(fd, buf); err != nil {
				break
			}
			read++
		}
		dropped = tally.Report().Mem["drops"]
		return read+dropped == sent
	}) || read == 0 || dropped == 0 {
		t.Errorf("%d sent, %d read, %d dropped", sent, read, dropped)
	}
	r := tally.Report()
	if r.TCP != nil || r.Worst != nil || r.Mem["rcvbuf"] != 8<<10 {
		t.Errorf("%+v", r)
	}
	tally.Look(0)
	if r = tally.Report(); r.Samples != nil {
		t.Errorf("a look at a UDP socket found %+v", r.Samples)
	}
}

// A look is at the first 16 that are open, and at none that was closed.
func TestLook(t *testing.T) {
	client, server := NewTally(nil), NewTally(nil)
	var cfds, sfds []int
	open := func(n int) {
		for range n {
			c, s := pair(t, client, server, 0)
			cfds, sfds = append(cfds, c), append(sfds, s)
			if k, err := unix.Write(c, make([]byte, 1000)); k != 1000 || err != nil {
				t.Fatal(k, err)
			}
		}
	}
	at := int64(0)
	look := func() (c, s Sample) {
		at++
		last := func(t *Tally) (s Sample) {
			t.Look(at)
			if all := t.Report().Samples; len(all) > 0 && all[len(all)-1].At == at {
				s = all[len(all)-1]
			}
			return s
		}
		return last(client), last(server)
	}
	open(20)
	var c, s Sample
	if !settled(t, func() bool { c, s = look(); return c.BytesAcked >= 16_000 && s.RecvQueue == 16_000 }) {
		t.Errorf("1,000 bytes on each connection: client %+v, server %+v", c, s)
	}
	if c.Connections != 16 || s.Connections != 16 || c.BytesAcked > 16_000+16 || c.RTT <= 0 || c.MinRTT > c.RTT || c.Cwnd < 16 || c.SndWnd <= 0 || c.RcvWnd <= 0 || c.DeliveryRate <= 0 ||
		c.AppLimited != 16 || c.NotSent != 0 || c.RecvQueue != 0 || c.Retrans != 0 || c.RwndLimited != 0 {
		t.Errorf("client %+v", c)
	}
	for i := range 5 {
		client.Closing(cfds[i])
		server.Closing(sfds[i])
	}
	if c, s = look(); c.Connections != 11 || s.RecvQueue != 11_000 {
		t.Errorf("5 of 20 have closed: client %+v, server %+v", c, s)
	}
	open(1)
	if c, _ = look(); c.Connections != 12 {
		t.Errorf("another has opened: %+v", c)
	}
	for i := range cfds {
		client.Closing(cfds[i])
	}
	if c, _ = look(); c.Connections != 0 {
		t.Errorf("all have closed: %+v", c)
	}
	if n := len(client.Report().Samples); n == 0 || n == int(at) {
		t.Errorf("%d samples of %d looks, at the last of which nothing was open", n, at)
	}
}
