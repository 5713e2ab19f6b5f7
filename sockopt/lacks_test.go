package sockopt

import (
	"testing"

	"golang.org/x/sys/unix"
)

// What an option cannot act without is missed where it is missing, and never where that cannot be told.
func TestLacks(t *testing.T) {
	fresh := socket(t, 0)
	client, _ := pair(t, NewTally(nil), NewTally(nil), 0)
	six, err := unix.Socket(unix.AF_INET6, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Skip("no IPv6: ", err)
	}
	defer unix.Close(six)
	mapped, err := unix.Socket(unix.AF_INET6, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(mapped)
	if err := unix.Bind(mapped, &unix.SockaddrInet6{Addr: [16]byte{10: 0xff, 11: 0xff, 12: 127, 15: 1}}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		what  string
		fd    int
		needs Condition
		lacks bool
	}{
		{"an unconnected socket", fresh, NAPI, false}, {"loopback", client, NAPI, true}, {"a socket of UDP", mapped, NAPI, false},
		{"IPv4", client, IPv4, false}, {"IPv6", six, IPv4, true}, {"IPv4 inside IPv6", mapped, IPv4, false}, {"anything", client, "", false},
	} {
		if why := lacks(c.fd, c.needs); (why != "") != c.lacks {
			t.Errorf("%s lacks %q: %q", c.what, c.needs, why)
		}
	}
	for _, bits := range []struct {
		bit   int
		lacks bool
	}{{0, true}, {-1, false}} { // the mask 0 has no bit in common with any number, and -1 all
		if why := lacksBit("net.core.somaxconn", bits.bit, "nobody"); (why != "") != bits.lacks {
			t.Errorf("net.core.somaxconn and bit %d: %q", bits.bit, why)
		}
	}
	if found, err := hasQdisc("no such kind"); found || err != nil {
		t.Errorf("a queueing discipline that is none: %v, %v", found, err)
	}
}
