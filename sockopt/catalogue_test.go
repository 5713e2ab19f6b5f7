package sockopt

import (
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// catalogue is what this kernel made of each option's smallest, a usual and its largest level.
var catalogue = []struct {
	option   string
	levels   [3]string
	out      string   // a level out of range
	classes  [3]Class // on a client's socket, and on an accepted one, where these do not differ:
	accepted []Class
	set      []Class // on a connection, with @established, where these do not differ
	denied   []int   // the levels that a user without privileges is denied
}{
	{"backlog", [3]string{"0", "7", "2147483647"}, "2147483648", [3]Class{Equal, Equal, Capped}, nil, nil, nil},
	{"TCP_DEFER_ACCEPT", [3]string{"0s", "2s", "29887s"}, "29888s", [3]Class{Equal, Rounded, Equal}, nil, nil, nil},
	{"TCP_FASTOPEN", [3]string{"0", "5", "2147483647"}, "2147483648", [3]Class{Equal, Inert, Inert}, nil, nil, nil},
	{"TCP_FASTOPEN_CONNECT", [3]string{"off", "on", "on"}, "2", [3]Class{Equal, Equal, Equal}, nil, nil, nil},
	{"TCP_SYNCNT", [3]string{"1", "2", "127"}, "128", [3]Class{Equal, Equal, Equal}, nil, nil, nil},
	{"SO_REUSEADDR", [3]string{"off", "on", "on"}, "2", [3]Class{Equal, Equal, Equal}, nil, nil, nil},
	{"SO_REUSEPORT", [3]string{"off", "on", "on"}, "2", [3]Class{Equal, Equal, Equal}, nil, nil, nil},
	{"SO_INCOMING_CPU", [3]string{"0", "1", "2147483647"}, "-2", [3]Class{Inert, Inert, Inert}, nil, nil, nil},
	{"IP_BIND_ADDRESS_NO_PORT", [3]string{"off", "on", "on"}, "2", [3]Class{Equal, Inert, Inert}, nil, nil, nil},
	{"TCP_USER_TIMEOUT", [3]string{"0s", "1500ms", "2147483647ms"}, "-1ms", [3]Class{Equal, Equal, Equal}, nil, nil, nil},
	{"SO_KEEPALIVE", [3]string{"off", "on", "on"}, "2", [3]Class{Equal, Equal, Equal}, nil, nil, nil},
	{"TCP_KEEPIDLE", [3]string{"1s", "15s", "32767s"}, "0s", [3]Class{Equal, Equal, Equal}, nil, nil, nil},
	{"TCP_KEEPINTVL", [3]string{"1s", "15s", "32767s"}, "32768s", [3]Class{Equal, Equal, Equal}, nil, nil, nil},
	{"TCP_KEEPCNT", [3]string{"1", "9", "127"}, "128", [3]Class{Equal, Equal, Equal}, nil, nil, nil},
	{"SO_LINGER", [3]string{"0s", "7s", "32767s"}, "32768s", [3]Class{Equal, Equal, Equal}, nil, nil, nil},
	{"TCP_LINGER2", [3]string{"off", "10s", "120s"}, "121s", [3]Class{Equal, Equal, Equal}, nil, nil, nil},
	{"SO_RCVBUF", [3]string{"0", "16KiB", "2147483647"}, "2147483648", [3]Class{Rounded, Doubled, Capped}, nil, nil, nil},
	{"SO_SNDBUF", [3]string{"0", "16KiB", "2147483647"}, "2147483648", [3]Class{Rounded, Doubled, Capped}, nil, nil, nil},
	{"SO_RCVBUFFORCE", [3]string{"0", "100MB", "1073741823"}, "1GiB", [3]Class{Rounded, Doubled, Doubled}, nil, nil, []int{0, 1, 2}},
	{"SO_SNDBUFFORCE", [3]string{"0", "100MB", "1073741823"}, "1GiB", [3]Class{Rounded, Doubled, Doubled}, nil, nil, []int{0, 1, 2}},
	{"SO_BUF_LOCK", [3]string{"0", "2", "3"}, "4", [3]Class{Equal, Equal, Equal}, nil, nil, nil},
	{"SO_RESERVE_MEM", [3]string{"0", "1MiB", "2147483647"}, "2147483648", [3]Class{Unsupported, Unsupported, Unsupported}, nil, nil, nil},
	{"TCP_WINDOW_CLAMP", [3]string{"1", "8KiB", "2147483647"}, "0", [3]Class{Rounded, Equal, Capped}, nil, []Class{Rounded, Equal, Equal}, nil},
	{"SO_RCVLOWAT", [3]string{"0", "4KiB", "2147483647"}, "2147483648", [3]Class{Rounded, Equal, Capped}, nil, nil, nil},
	{"TCP_NOTSENT_LOWAT", [3]string{"0", "16KiB", "2147483647"}, "2147483648", [3]Class{Equal, Equal, Equal}, nil, nil, nil},
	{"TCP_INQ", [3]string{"off", "on", "on"}, "2", [3]Class{Equal, Inert, Inert}, nil, nil, nil},
	{"TCP_NODELAY", [3]string{"off", "on", "on"}, "2", [3]Class{Equal, Equal, Equal}, nil, nil, nil},
	{"TCP_CORK", [3]string{"off", "on", "on"}, "2", [3]Class{Equal, Equal, Equal}, nil, nil, nil},
	{"TCP_QUICKACK", [3]string{"off", "on", "on"}, "5", [3]Class{Equal, Equal, Equal}, nil, nil, nil},
	{"TCP_DELACK_MAX_US", [3]string{"2ms", "5ms", "200ms"}, "1ms", [3]Class{Unsupported, Rounded, Equal}, nil, nil, nil},
	{"TCP_MAXSEG", [3]string{"88", "1000", "32767"}, "32KiB", [3]Class{Equal, Equal, Capped}, []Class{Equal, Equal, Equal}, nil, nil},
	{"SO_MAX_PACING_RATE", [3]string{"0", "1250kB", "unlimited"}, "-1", [3]Class{Equal, Equal, Equal}, nil, nil, nil},
	{"TCP_TX_DELAY", [3]string{"0s", "1ms", "268435455us"}, "268435456us", [3]Class{Equal, Inert, Inert}, nil, nil, nil},
	{"SO_ZEROCOPY", [3]string{"off", "on", "on"}, "2", [3]Class{Equal, Inert, Inert}, nil, nil, nil},
	{"TCP_CONGESTION", [3]string{"reno", "cubic", "nosuch"}, "a_name_too_long_", [3]Class{Equal, Equal, Unsupported}, nil, nil, []int{1}},
	{"TCP_RTO_MIN_US", [3]string{"2ms", "5ms", "200ms"}, "2s", [3]Class{Unsupported, Rounded, Equal}, nil, nil, nil},
	{"TCP_RTO_MAX_MS", [3]string{"1s", "1001ms", "120s"}, "999ms", [3]Class{Equal, Rounded, Equal}, nil, nil, nil},
	{"TCP_THIN_LINEAR_TIMEOUTS", [3]string{"off", "on", "on"}, "2", [3]Class{Equal, Equal, Equal}, nil, nil, nil},
	{"SO_TXREHASH", [3]string{"off", "on", "on"}, "2", [3]Class{Equal, Equal, Equal}, nil, nil, nil},
	{"SO_RCVTIMEO", [3]string{"0s", "10ms", "1s"}, "400h", [3]Class{Equal, Rounded, Equal}, nil, nil, nil},
	{"SO_SNDTIMEO", [3]string{"0s", "10ms", "1s"}, "400h", [3]Class{Equal, Rounded, Equal}, nil, nil, nil},
	{"SO_BUSY_POLL", [3]string{"0s", "50us", "2147483647us"}, "2147483648us", [3]Class{Equal, Inert, Inert}, nil, nil, nil},
	{"SO_PREFER_BUSY_POLL", [3]string{"off", "on", "on"}, "2", [3]Class{Equal, Inert, Inert}, nil, nil, []int{1, 2}},
	{"SO_BUSY_POLL_BUDGET", [3]string{"0", "8", "65535"}, "65536", [3]Class{Unknown, Inert, Inert}, nil, nil, []int{1, 2}},
	{"SO_PRIORITY", [3]string{"0", "5", "2147483647"}, "-1", [3]Class{Equal, Equal, Equal}, []Class{Equal, NotInherited, NotInherited}, []Class{Equal, Equal, Equal}, []int{2}},
	{"IP_TOS", [3]string{"0", "0xb8", "255"}, "256", [3]Class{Equal, Equal, Rounded}, nil, nil, nil},
	{"SO_RXQ_OVFL", [3]string{"off", "on", "on"}, "2", [3]Class{Equal, Inert, Inert}, nil, nil, nil},
}

// TestCatalogue sets every option at its smallest, a usual and its largest level, on a client's socket and on a
// server's, with this user's privileges and without any, and expects the class that was seen on Linux 6.18. On other
// kernels a difference is told and is no failure.
func TestCatalogue(t *testing.T) {
	differs := t.Errorf
	if release := kernel(t); !strings.HasPrefix(release, "6.18.") {
		differs = func(format string, args ...any) { t.Logf("warning, on Linux "+release+": "+format, args...) }
	}
	var rows []string
	for _, c := range catalogue {
		rows = append(rows, c.option)
		o, ok := Find(c.option)
		if !ok {
			t.Errorf("no option %s", c.option)
			continue
		}
		for _, side := range []Side{Client, Server} {
			if o.Sides&side == 0 {
				continue
			}
			if _, err := o.Parse(c.out, side); err == nil {
				t.Errorf("%s=%s is out of range, and taken", c.option, c.out)
			}
			for _, privileged := range []bool{true, false} {
				if privileged && os.Geteuid() != 0 {
					continue
				}
				want := c.classes[:]
				if side == Server && c.accepted != nil {
					want = c.accepted
				}
				for i, level := range c.levels {
					for phase := Fresh; phase <= EachRead; phase <<= 1 {
						if phase&o.Phases == 0 || side == Client && phase == Listen {
							continue
						}
						s, err := o.Parse(level+"@"+phase.String(), side)
						if err != nil {
							t.Error(err)
							continue
						}
						expected := want[i]
						if phase == Established && c.set != nil {
							expected = c.set[i]
						}
						if !privileged && slices.Contains(c.denied, i) {
							expected = Denied
						}
						if a := outcome(t, s, side, privileged); a.Class != expected || a.Sockets != 1 || a.Got != "" && a.GotEnd == "" {
							differs("%s, privileged %v, set at %s: %+v, want %s", side, privileged, phase, a, expected)
						}
					}
				}
			}
		}
	}
	for i := range All {
		switch o := &All[i]; {
		case o.Refuse != "":
			if _, err := o.Parse("1", Server); err == nil || !strings.Contains(err.Error(), o.Refuse) {
				t.Errorf("%s: %v, want the reason it is refused for", o.Name, err)
			}
		case !slices.Contains(rows, o.Name):
			t.Errorf("%s is not in the catalogue of this test", o.Name)
		}
	}
}

// outcome is what becomes of s on one socket, for a user with privileges or without.
func outcome(t *testing.T, s Setting, side Side, privileged bool) (a Applied) {
	t.Helper()
	done := make(chan struct{})
	go func() { // on a thread of its own, which ends with what it gave up
		defer close(done)
		runtime.LockOSThread()
		if !privileged {
			var none [2]unix.CapUserData
			if err := unix.Capset(&unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, &none[0]); err != nil {
				t.Error(err)
				return
			}
		}
		asked := NewTally([]Setting{s})
		sockets, err := meet(asked, side, s)
		for _, fd := range sockets {
			defer unix.Close(fd)
		}
		if err != nil {
			t.Errorf("%s=%s: %v", s.Option, s, err)
			return
		}
		if all := asked.Report().Applied; len(all) == 1 {
			a = all[0]
		} else {
			t.Errorf("%s=%s: applied %+v", s.Option, s, all)
		}
	}()
	<-done
	return a
}

// meet makes a connection whose given side is the tally's, or of UDP a socket, and returns the sockets that are open.
func meet(asked *Tally, side Side, s Setting) ([]int, error) {
	if o, _ := Find(s.Option); o.On()&TCP != 0 {
		return effective(asked, side)
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	asked.Fresh(fd)
	asked.Opened(fd)
	return []int{fd}, nil
}

func kernel(t *testing.T) string {
	t.Helper()
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		t.Fatal(err)
	}
	return unix.ByteSliceToString(u.Release[:])
}
