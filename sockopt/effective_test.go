package sockopt

import "testing"

// What a level becomes is what this kernel makes of it on a connection, whichever side and phase.
func TestEffective(t *testing.T) {
	for _, c := range []struct {
		option, level string
		side          Side
		got           string
		class         Class
	}{
		{"TCP_NODELAY", "on", Client, "on", Equal}, {"TCP_NODELAY", "off@listen", Server, "off", Equal}, {"TCP_NODELAY", "on@established", Server, "on", Equal},
		{"SO_RCVBUF", "64KiB", Client, "128KiB", Doubled}, {"SO_SNDBUF", "64KiB", Server, "128KiB", Doubled}, {"SO_RCVBUF", "64KiB@established", Server, "128KiB", Doubled},
		{"SO_RCVBUF", "1", Client, "2304", Rounded}, {"SO_RCVBUF", "1000", Server, "2304", Rounded},
		{"backlog", "7", Server, "7", Equal}, {"TCP_SYNCNT", "3", Client, "3", Equal}, {"SO_LINGER", "0s", Client, "0s", Equal},
		{"TCP_CONGESTION", "no-such-one", Client, "", Unsupported}, {"SO_SNDTIMEO", "1us", Client, "", Rounded},
	} {
		o, _ := Find(c.option)
		s, err := o.Parse(c.level, c.side)
		if err != nil {
			t.Fatal(err)
		}
		a, err := Effective(s, c.side)
		if err != nil || a.Class != c.class || a.Sockets != 1 && c.class.Acts() || a.Got != c.got && c.got != "" {
			t.Errorf("%s=%s on the %s: %+v, %v; want %q, %s", c.option, c.level, c.side, a, err, c.got, c.class)
		}
	}
	// Beyond the cap all are one.
	o, _ := Find("SO_RCVBUF")
	var got [2]Applied
	for i, level := range []string{"1GiB", "2147483647"} {
		s, err := o.Parse(level, Client)
		if err == nil {
			got[i], err = Effective(s, Client)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if got[0].Got != got[1].Got || got[0].Class != Capped || got[0].Note == "" {
		t.Errorf("%+v and %+v", got[0], got[1])
	}
}
