package sockopt

import (
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func setting(t *testing.T, name, level string, side Side) Setting {
	t.Helper()
	o, ok := Find(name)
	if !ok {
		t.Fatalf("no option %s", name)
	}
	s, err := o.Parse(level, side)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func socket(t *testing.T, flags int) int {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|flags, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}

// pair makes a loopback connection whose two ends went through their tallies as a client's and a server's do.
func pair(t *testing.T, client, server *Tally, flags int) (cfd, sfd int) {
	t.Helper()
	l := socket(t, 0)
	server.Fresh(l)
	if err := unix.Bind(l, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := server.Listen(l); err != nil {
		t.Fatal(err)
	}
	to, err := unix.Getsockname(l)
	if err != nil {
		t.Fatal(err)
	}
	cfd = socket(t, 0)
	client.Fresh(cfd)
	if err := unix.Connect(cfd, to); err != nil {
		t.Fatal(err)
	}
	client.Opened(cfd)
	sfd, _, err = unix.Accept4(l, flags)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(sfd) })
	server.Opened(sfd)
	return cfd, sfd
}

func TestClasses(t *testing.T) {
	for _, c := range []struct {
		name, level string
		flags       int
		class       Class
		got, note   string // on the accepted socket
	}{
		{"TCP_NODELAY", "on", 0, Equal, "on", ""},
		{"TCP_NODELAY", "off", 0, Equal, "off", ""},
		{"TCP_NODELAY", "on@established", 0, Equal, "on", ""},
		{"SO_RCVBUF", "16KiB", 0, Doubled, "32KiB", ""},
		{"SO_RCVBUF", "16KiB@established", 0, Doubled, "32KiB", ""},
		{"SO_RCVBUF", "16", 0, Rounded, "2304", "minimum is 1152"},
		{"SO_SNDBUF", "1GiB", 0, Capped, "", "capped by net.core.wmem_max="},
		{"TCP_QUICKACK", "on", 0, Equal, "on", ""},
		{"TCP_QUICKACK", "off", 0, Equal, "off", ""},
		{"TCP_USER_TIMEOUT", "1500ms", 0, Equal, "1.5s", ""},
		{"SO_KEEPALIVE", "on", 0, Equal, "on", ""},
		{"TCP_KEEPIDLE", "7s", 0, Equal, "7s", ""},
		{"TCP_KEEPINTVL", "3s", 0, Equal, "3s", ""},
		{"TCP_KEEPCNT", "4", 0, Equal, "4", ""},
		{"TCP_NOTSENT_LOWAT", "16KiB", 0, Equal, "16KiB", ""},
		{"SO_RCVTIMEO", "1s", 0, Equal, "1s", ""},
		{"SO_RCVTIMEO", "1ms", 0, Rounded, "", "tick"},
		{"SO_SNDTIMEO", "2s", unix.SOCK_NONBLOCK, Inert, "2s", "non-blocking"},
		{"SO_LINGER", "5s", 0, Equal, "5s", ""},
		{"SO_LINGER", "0s", 0, Equal, "0s", ""},
		{"SO_LINGER", "off", 0, Equal, "off", ""},
		{"TCP_CONGESTION", "reno", 0, Equal, "reno", ""},
		{"TCP_CONGESTION", "nosuch", 0, Unsupported, "", ""},
		{"backlog", "7", 0, Equal, "7", ""},
		{"backlog", "1000000", 0, Capped, "", "somaxconn"},
	} {
		t.Run(c.name+"="+c.level, func(t *testing.T) {
			server := NewTally([]Setting{setting(t, c.name, c.level, Server)})
			_, sfd := pair(t, NewTally(nil), server, c.flags)
			server.Closing(sfd)
			r := server.Report()
			if len(r.Applied) != 1 {
				t.Fatalf("applied %+v", r.Applied)
			}
			a := r.Applied[0]
			if a.Class != c.class || c.got != "" && a.Got != c.got || !strings.Contains(a.Note, c.note) || a.Sockets != 1 {
				t.Errorf("%+v, want class %s, got %q, note %q", a, c.class, c.got, c.note)
			}
			if c.class == Unsupported && a.Error == "" {
				t.Error("refused without saying why")
			}
			if a.Class != Unsupported && a.GotEnd == "" {
				t.Error("not read back at the end")
			}
		})
	}
}

func TestClientClasses(t *testing.T) {
	client := NewTally([]Setting{setting(t, "TCP_SYNCNT", "2", Client), setting(t, "SO_SNDBUF", "8KiB", Client)})
	cfd, _ := pair(t, client, NewTally(nil), 0)
	client.Closing(cfd)
	for _, a := range client.Report().Applied {
		if !a.Class.Acts() {
			t.Errorf("%+v", a)
		}
	}
}

// Sockets that read back alike are one line with a count; those that do not are two.
func TestTallyCounts(t *testing.T) {
	server := NewTally([]Setting{setting(t, "TCP_NODELAY", "on", Server)})
	for i := range 5 {
		_, fd := pair(t, NewTally(nil), server, 0)
		if i == 4 { // changed behind the tally's back: the last look must see it
			if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 0); err != nil {
				t.Fatal(err)
			}
		}
		server.Closing(fd)
	}
	as := server.Report().Applied
	if again := server.Report().Applied; !slices.Equal(again, as) {
		t.Errorf("a second report says %+v", again)
	}
	if len(as) != 2 || as[0].Sockets != 4 || as[0].GotEnd != "on" || as[1].Sockets != 1 || as[1].GotEnd != "off" {
		t.Errorf("%+v", as)
	}
}

// TCP_INFO of known traffic: 3 writes of 1,000 bytes each on two connections.
func TestTallyTCP(t *testing.T) {
	client := NewTally(nil)
	for range 2 {
		cfd, sfd := pair(t, client, NewTally(nil), 0)
		b := make([]byte, 1000)
		for range 3 {
			if _, err := unix.Write(cfd, b); err != nil {
				t.Fatal(err)
			}
			for n := 0; n < len(b); {
				k, err := unix.Read(sfd, b)
				if err != nil {
					t.Fatal(err)
				}
				n += k
			}
		}
		client.Closing(cfd)
	}
	r := client.Report()
	if r.TCP["bytes_sent"] != 6000 || r.TCP["data_segs_out"] != 6 || r.TCP["total_retrans"] != 0 {
		t.Errorf("sums %v", r.TCP)
	}
	if r.Worst["bytes_sent"] != 3000 || r.Worst["rtt_us"] <= 0 {
		t.Errorf("worst %v", r.Worst)
	}
}

func TestParseRefused(t *testing.T) {
	for _, c := range []struct {
		name, level string
		side        Side
		says        string
	}{
		{"TCP_NODELAY", "maybe", Client, "on or off"},
		{"SO_RCVBUF", "lots", Client, "16KiB"},
		{"TCP_KEEPIDLE", "500ms", Client, "steps of 1s"},
		{"TCP_KEEPIDLE", "0s", Client, "out of range"},
		{"TCP_KEEPCNT", "128", Client, "1 to 127"},
		{"TCP_USER_TIMEOUT", "1500us", Client, "steps of 1ms"},
		{"TCP_SYNCNT", "2", Server, "client's sockets only"},
		{"backlog", "5", Client, "server's sockets only"},
		{"TCP_NODELAY", "on@listen", Client, "does not listen"},
		{"TCP_NODELAY", "on@later", Client, "no phase"},
		{"TCP_NODELAY", "on@each_read", Client, "phases are"},
		{"TCP_CONGESTION", "", Client, "name"},
		{"SO_LINGER", "1ms", Client, "steps of 1s"},
	} {
		o, _ := Find(c.name)
		if _, err := o.Parse(c.level, c.side); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s=%s: %v, want %q", c.name, c.level, err, c.says)
		}
	}
}

func TestSettingText(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"SO_RCVBUF", "16384", "16KiB"}, {"SO_RCVBUF", "16384@established", "16KiB@established"}, {"SO_RCVBUF", "16KiB@socket", "16KiB"},
		{"TCP_QUICKACK", "1@each_read", "on@each_read"}, {"SO_LINGER", "0", "0s"}, {"TCP_USER_TIMEOUT", "1.5s", "1.5s"}, {"SO_LINGER", "off", "off"},
	} {
		if got := setting(t, c.name, c.in, Server).String(); got != c.want {
			t.Errorf("%s=%s writes %q, want %q", c.name, c.in, got, c.want)
		}
	}
}

// The table itself: names and numbers are unique, and this kernel knows every entry.
func TestTable(t *testing.T) {
	seen := map[[2]int]string{}
	for i := range All {
		o := &All[i]
		if o.Doc == "" || o.Phases == 0 || o.Sides == 0 || o.Reads == "" {
			t.Errorf("%s: entry is not complete", o.Name)
		}
		if other := seen[[2]int{o.Level, o.Num}]; other != "" {
			t.Errorf("%s and %s have the same number", o.Name, other)
		}
		seen[[2]int{o.Level, o.Num}] = o.Name
		level, class, err := Probe(o)
		if class != Equal {
			t.Errorf("%s: default %q, class %s, %v", o.Name, level, class, err)
		}
	}
}

func TestFits(t *testing.T) {
	for _, c := range []struct {
		option, level, network string
		side                   Side
		says                   string // "": it fits
	}{
		{"TCP_NODELAY", "on", "tcp", Both, ""}, {"TCP_NODELAY", "on", "unix", Client, "TCP_NODELAY=on acts on sockets of tcp only, and this one is of unix: leave it out"},
		{"SO_KEEPALIVE", "on", "udp", Server, "of tcp only"}, {"SO_RCVBUF", "16KiB", "udp", Server, ""}, {"SO_RCVBUF", "16KiB", "unix", Server, "of tcp,udp only"},
		{"SO_RCVBUF", "16KiB@listen", "udp", Server, "SO_RCVBUF=16KiB@listen: a socket of udp does not listen: write 16KiB@socket"},
		{"SO_SNDBUF", "16KiB", "unix", Client, ""}, {"SO_SNDBUF", "16KiB@established", "unix", Server, ""},
		{"SO_SNDBUF", "16KiB", "unix", Server, "SO_SNDBUF=16KiB: accepted sockets of unix take nothing from the listening one: write 16KiB@established"},
		{"backlog", "7", "unix", Server, ""}, {"backlog", "7", "udp", Server, "of tcp,unix only"}, {"SO_RCVTIMEO", "1s", "udp", Server, ""},
	} {
		err := setting(t, c.option, c.level, Server).Fits(c.network, c.side)
		if c.says == "" && err != nil || c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)) {
			t.Errorf("%s=%s on %s: %v, want %q", c.option, c.level, c.network, err, c.says)
		}
	}
}

// What the table says of unix sockets is what this kernel does: the sender's buffer bounds what waits, the receiver's
// does not, and an accepted socket takes neither from the one that listens.
func TestUnixSockets(t *testing.T) {
	at := &unix.SockaddrUnix{Name: t.TempDir() + "/s"}
	open := func() int {
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.Close(fd) })
		return fd
	}
	l := open()
	if err := unix.Bind(l, at); err != nil {
		t.Fatal(err)
	}
	small := setting(t, "SO_SNDBUF", "8KiB", Server)
	if err := small.apply(l); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(l, 8); err != nil {
		t.Fatal(err)
	}
	sndbuf, _ := Find("SO_SNDBUF")
	usual, err := sndbuf.Get(open())
	if err != nil {
		t.Fatal(err)
	}
	waits := func(accepted ...Setting) (n int) {
		c := open()
		if err := unix.Connect(c, at); err != nil {
			t.Fatal(err)
		}
		s, _, err := unix.Accept4(l, unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.Close(s) })
		if got, err := sndbuf.Get(s); got != usual || err != nil {
			t.Errorf("an accepted socket has SO_SNDBUF %s (%v), a fresh one %s", got, err, usual)
		}
		for _, o := range accepted {
			fd := s
			if o.Option == "SO_RCVBUF" {
				fd = c
			}
			if err := o.apply(fd); err != nil {
				t.Fatal(err)
			}
		}
		for b := make([]byte, 1000); ; {
			k, err := unix.Write(s, b)
			if err != nil {
				return n
			}
			n += k
		}
	}
	plain, receiver, sender := waits(), waits(setting(t, "SO_RCVBUF", "8KiB", Client)), waits(small)
	if receiver != plain || sender > plain/4 {
		t.Errorf("%d bytes wait unread; %d with a small SO_RCVBUF, %d with a small SO_SNDBUF", plain, receiver, sender)
	}
}
