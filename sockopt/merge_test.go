package sockopt

import (
	"reflect"
	"testing"
)

// What two processes saw of the same server is added up: sockets that read back the same way, counters, the worst
// connection; what failed where there was no socket to show it says nothing beside one that does.
func TestMergeSockets(t *testing.T) {
	rtt, resent := tcpFields[worstBy[1]].name, tcpFields[worstBy[0]].name
	good := Applied{Option: "TCP_NODELAY", Asked: "on", Got: "on", GotEnd: "on", Class: Equal}
	with := func(a Applied, n int) Applied { a.Sockets = n; return a }
	s := Sockets{
		Applied: []Applied{with(good, 2), {Option: "SO_RCVBUF", Class: Denied, Error: "no"}, {Option: "SO_REUSEPORT", Class: ByModel}},
		TCP:     map[string]int64{resent: 3}, Worst: map[string]int64{resent: 1, rtt: 9},
	}
	s.Merge(Sockets{
		Applied: []Applied{with(good, 3), {Option: "SO_RCVBUF", Class: Denied, Error: "no", Got: "x", Sockets: 1}},
		First:   map[string]string{"TCP_NODELAY": "on"},
		TCP:     map[string]int64{resent: 4}, Worst: map[string]int64{resent: 2, rtt: 5},
	})
	s.Merge(Sockets{})
	want := Sockets{
		Applied: []Applied{
			{Option: "SO_RCVBUF", Class: Denied, Error: "no", Got: "x", Sockets: 1},
			{Option: "SO_REUSEPORT", Class: ByModel}, with(good, 5),
		},
		First: map[string]string{"TCP_NODELAY": "on"},
		TCP:   map[string]int64{resent: 7}, Worst: map[string]int64{resent: 2, rtt: 5},
	}
	if !reflect.DeepEqual(s, want) {
		t.Errorf("merged %+v\nwant   %+v", s, want)
	}
}
