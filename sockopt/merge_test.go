package sockopt

import (
	"reflect"
	"testing"
)

// What two processes saw of the same server is added up: sockets that read back the same way, counters, the worst
// connection, the largest buffer; what failed where there was no socket to show it says nothing beside one that does.
func TestMergeSockets(t *testing.T) {
	resent, rtt := worstBy[0], worstBy[1]
	good := Applied{Option: "TCP_NODELAY", Asked: "on", Got: "on", GotEnd: "on", Class: Equal}
	with := func(a Applied, n int) Applied { a.Sockets = n; return a }
	s := Sockets{
		Applied: []Applied{with(good, 2), {Option: "SO_RCVBUF", Class: Denied, Error: "no"}, {Option: "SO_REUSEPORT", Class: ByModel}},
		TCP:     map[string]int64{resent: 3}, Worst: map[string]int64{resent: 1, rtt: 9},
		Mem: map[string]int64{"drops": 2, "rcvbuf": 100, "sndbuf": 50},
	}
	s.Merge(Sockets{
		Applied: []Applied{with(good, 3), {Option: "SO_RCVBUF", Class: Denied, Error: "no", Got: "x", Sockets: 1}},
		First:   map[string]string{"TCP_NODELAY": "on"},
		TCP:     map[string]int64{resent: 4}, Worst: map[string]int64{resent: 2, rtt: 5},
		Mem: map[string]int64{"drops": 3, "rcvbuf": 70, "send_queue": 9},
	})
	s.Merge(Sockets{})
	want := Sockets{
		Applied: []Applied{
			{Option: "SO_RCVBUF", Class: Denied, Error: "no", Got: "x", Sockets: 1},
			{Option: "SO_REUSEPORT", Class: ByModel}, with(good, 5),
		},
		First: map[string]string{"TCP_NODELAY": "on"},
		TCP:   map[string]int64{resent: 7}, Worst: map[string]int64{resent: 2, rtt: 5},
		Mem: map[string]int64{"drops": 5, "rcvbuf": 100, "sndbuf": 50, "send_queue": 9},
	}
	if !reflect.DeepEqual(s, want) {
		t.Errorf("merged %+v\nwant   %+v", s, want)
	}
}
