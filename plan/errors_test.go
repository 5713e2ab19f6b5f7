package plan

import (
	"strconv"
	"strings"
	"testing"
)

func TestErrors(t *testing.T) {
	for _, c := range []struct {
		knobs []string
		says  []string // in this order
	}{
		{[]string{"conections=4"}, []string{"knob conections", "did you mean connections?"}},
		{[]string{"NODELAY=on"}, []string{"knob NODELAY", "did you mean TCP_NODELAY?"}},
		{[]string{"client.TCP_NODELY=on"}, []string{"client.TCP_NODELY", "did you mean client.TCP_NODELAY?"}},
		{[]string{"server.TCP_SYNCNT=3"}, []string{"server.TCP_SYNCNT", "client's sockets only", "write TCP_SYNCNT"}},
		{[]string{"client.backlog=3"}, []string{"client.backlog", "server's sockets only"}},
		{[]string{"framing=lenght"}, []string{"framing=lenght", "choose one of length", "did you mean length?"}},
		{[]string{"target=epol"}, []string{"target=epol", "did you mean epoll?"}},
		{[]string{"target=exec"}, []string{"target=exec"}},
		{[]string{"keep_awake=maybe"}, []string{"keep_awake=maybe", "neither on nor off"}},
		{[]string{"request=64Kib"}, []string{"request=64Kib", "16KiB"}},
		{[]string{"rate=-1"}, []string{"rate=-1", "negative"}},
		{[]string{"connections="}, []string{"knob connections", "no level"}},
		{[]string{"connections=4|4"}, []string{"connections=4", "named twice"}},
		{[]string{"request=1024|1KiB"}, []string{"request=1KiB", "named twice"}},
		{[]string{"request=1KiB|1024"}, []string{"request=1024", "same level as 1KiB"}},
		{[]string{"TCP_NODELAY=on|1"}, []string{"TCP_NODELAY=1", "same level as on"}},
		{[]string{"request=1", "request=2"}, []string{"knob request", "named twice"}},
		{[]string{"TCP_NODELAY=on", "client.TCP_NODELAY=off"}, []string{"knob client.TCP_NODELAY", "TCP_NODELAY is named too", "server.TCP_NODELAY"}},
		{[]string{"server.SO_RCVBUF=16KiB", "SO_RCVBUF=1MiB"}, []string{"knob SO_RCVBUF", "server.SO_RCVBUF is named too"}},
		{[]string{"SO_RCVBUF=16KiB@listen"}, []string{"SO_RCVBUF=16KiB@listen", "a client does not listen"}},
		{[]string{"cpus=serv=0"}, []string{"cpus=serv=0", "server=0;client=1"}},
		{[]string{"cpus=server=0;server=1"}, []string{"cpus=", "twice"}},
		{[]string{"cpus=server=1-0"}, []string{"cpus=", "0-2,5"}},
		{[]string{"cpus=server=99999"}, []string{"cpus=", "0-2,5"}},

		// What is wrong only together names the part of the cell.
		{[]string{"framing=length|fixed", "request=8|64"}, []string{"framing=length,request=8", "at least 16"}},
		{[]string{"reply=32MiB"}, []string{"reply=32MiB", "too large"}},
		{[]string{"framing=fixed", "request=1", "write=split|single"}, []string{"write=split,request=1", "make request 2"}},
		{[]string{"connections=0"}, []string{"connections=0", "at least one"}},
		{[]string{"request_timeout=0"}, []string{"request_timeout=0", "5s"}},
		{[]string{"connect_timeout=0"}, []string{"connect_timeout=0", "5s"}},
		{[]string{"arrivals=constant"}, []string{"arrivals=constant", "open loop only", "rate=20k"}},
		{[]string{"arrivals=possion", "rate=20k"}, []string{"arrivals=possion", "choose one of poisson", "did you mean poisson?"}},
		{[]string{"arrivals=ramp:5k"}, []string{"arrivals=ramp:5k", "a ramp is two rates, as ramp:1k-20k"}},
		{[]string{"arrivals=burst:16"}, []string{"arrivals=burst:16", "open loop only", "rate=20k"}},
		{[]string{"arrivals=ramp:1k-20k", "rate=10k"}, []string{"rate=10k,arrivals=ramp:1k-20k: ramp sets the rate itself: leave rate out, or name its mean, rate=10.5k"}},
		{[]string{"arrivals=steps:1k,2k", "rate=none"}, []string{"rate=none,arrivals=steps:1k,2k", "leave rate out", "rate=1.5k"}},
		{[]string{"arrivals=trace:/x#0123456789abcdef", "rate=10k"}, []string{"rate=10k,arrivals=trace:/x#0123456789abcdef: trace sets the rate itself: leave rate out"}},
		{[]string{"rate=none|20k", "pace=cheap", "dispatch=idle"}, []string{"rate=none,pace=cheap,dispatch=idle", "open loop only"}},
		{[]string{"target=epoll|addr: tcp://127.0.0.1:9", "service_time=50us"}, []string{"target=addr: tcp://127.0.0.1:9,service_time=50us", "inside the server"}},
		{[]string{"target=addr: tcp://127.0.0.1:9", "TCP_NODELAY=on"}, []string{"target=addr: tcp://127.0.0.1:9,TCP_NODELAY=on", "write client.TCP_NODELAY"}},
		{[]string{"target=addr: tcp://127.0.0.1:9", "server.TCP_NODELAY=on"}, []string{"server.TCP_NODELAY=on", "leave it out"}},
		{[]string{"target=addr: tcp://127.0.0.1:9", "cpus=server=0;client=1"}, []string{"target=addr: tcp://127.0.0.1:9,cpus=server=0;client=1", "cpus=client=1"}},
		{[]string{"target=addr: tcp://127.0.0.1:9", "backlog=16"}, []string{"backlog=16", "leave it out"}},
		{[]string{"target=epoll|udp", "write=single|split"}, []string{"target=udp,write=split", "write single"}},
		{[]string{"target=udp", "TCP_NODELAY=on"}, []string{"target=udp,TCP_NODELAY=on", "acts on sockets of tcp only, and this one is of udp: leave it out"}},
		{[]string{"target=udp|epoll", "server.backlog=7"}, []string{"target=udp,server.backlog=7", "of tcp,unix only"}},
		{[]string{"target=udp", "request=65503|65504"}, []string{"target=udp,request=65504", "request 65504 is too large for a datagram: with framing length it is at most 65503 bytes"}},
		{[]string{"target=udp", "framing=line", "reply=64KiB"}, []string{"target=udp,framing=line,reply=64KiB", "without an id"}},
		{[]string{"target=udp", "request=1"}, []string{"request=1", "too small"}},
		{[]string{"target=addr: udp://127.0.0.1:9", "write=cork"}, []string{"target=addr: udp://127.0.0.1:9,write=cork", "write single"}},
		{[]string{"target=addr: unix:///tmp/s", "client.TCP_NODELAY=on"}, []string{"target=addr: unix:///tmp/s,client.TCP_NODELAY=on", "of unix: leave it out"}},
		{[]string{"target=all|udp", "write=split"}, []string{"target=udp,write=split", "write single"}},
	} {
		_, err := New("test", 1, 1, 0, second, factors(c.knobs...))
		if err == nil {
			t.Errorf("%q: no error", c.knobs)
			continue
		}
		rest := err.Error()
		for _, want := range c.says {
			_, after, ok := strings.Cut(rest, want)
			if !ok {
				t.Errorf("%q: error %q does not say %q there", c.knobs, err, want)
				break
			}
			rest = after
		}
		if n := strings.Count(err.Error(), "\n") + 1; n != 1 {
			t.Errorf("%q: %d errors, want 1:\n%v", c.knobs, n, err)
		}
	}
}

func TestAllowed(t *testing.T) {
	for _, knobs := range [][]string{
		{"rate=20k", "arrivals=constant", "pace=cheap", "dispatch=idle"},
		{"arrivals=ramp:1k-20k", "pace=cheap", "dispatch=idle"}, {"arrivals=ramp:5k-15k|steps:5k,15k|poisson|burst:10", "rate=10k"},
		{"client.TCP_NODELAY=on", "server.TCP_NODELAY=off"},
		{"target=addr: tcp://127.0.0.1:9", "client.TCP_NODELAY=on", "TCP_SYNCNT=2", "SO_RCVBUF=default"},
		{"SO_RCVTIMEO=1s"}, // inert on non-blocking sockets, which shows at run time
		{"framing=fixed", "request=1", "reply=1"},
		{"target=epoll", "service_time=50us"},
		{"target=udp|addr: udp://127.0.0.1:9", "client.SO_RCVBUF=16KiB", "request=65503", "framing=length"}, {"target=addr: unix:///tmp/s", "client.SO_SNDBUF=64KiB", "write=split"},
		{"write_size=4KiB|64KiB|default", "workload=stream-up|stream-down"}, {"read_size=1KiB", "reply=64KiB", "target=epoll|exec: ./s {port}"},
		{"read_size=64KiB", "framing=http", "target=addr: tcp://127.0.0.1:80"}, {"write_size=64", "pipeline=16"}, {"requests_per_connection=1|100|none", "rate=none|1k"},
		{"requests_per_connection=none", "pipeline=4", "workload=rr|stream-up"}, {"gomaxprocs=1|2|default", "target=all"}, {"cpus=same|apart|default|server=0;client=0"},
		{"gomaxprocs=1|2", "target=exec: env GOMAXPROCS={gomaxprocs} ./s {port}"}, {"target=exec: ./s {port}", "cpus=same|apart"},
		{"cpus=server=0"}, {"target=addr: tcp://127.0.0.1:9", "cpus=client=1"}, {"target=epoll|goroutine", "backlog=16"},
	} {
		if _, err := New("test", 1, 1, 0, second, factors(knobs...)); err != nil {
			t.Errorf("%q: %v", knobs, err)
		}
	}
}

func TestAllErrorsAtOnceInOrder(t *testing.T) {
	_, err := New("test", 1, 0, 0, 0, factors("wriet=split", "connections=-1|x", "framing=length"))
	if err == nil {
		t.Fatal("no error")
	}
	lines := strings.Split(err.Error(), "\n")
	for i, want := range []string{"blocks=0", "duration=0", "knob wriet", "connections=-1", "connections=x"} {
		if i >= len(lines) || !strings.HasPrefix(lines[i], want) {
			t.Errorf("line %d is not about %s:\n%v", i, want, err)
		}
	}
	if len(lines) != 5 {
		t.Errorf("%d lines:\n%v", len(lines), err)
	}
}

func TestTooManyCells(t *testing.T) {
	var levels []string
	for i := range 400 {
		levels = append(levels, strconv.Itoa(i+1))
	}
	all := strings.Join(levels, "|")
	if _, err := New("test", 1, 1, 0, second, factors("connections="+all, "request_timeout="+strings.ReplaceAll(all, "|", "s|")+"s")); err == nil || !strings.Contains(err.Error(), "cells") {
		t.Errorf("160,000 cells: error %v", err)
	}
}

func TestParseKnobList(t *testing.T) {
	for _, c := range []struct {
		text string
		want Cell
	}{
		{"target=epoll,TCP_NODELAY=1", Cell{"target": "epoll", "TCP_NODELAY": "on"}},
		{"target=addr: tcp://h:1,x,y=z,rate=20000", Cell{"target": "addr: tcp://h:1,x,y=z", "rate": "20k"}},
		{"cpus=server=0,1;client=2,3,connections=4", Cell{"cpus": "server=0,1;client=2,3", "connections": "4"}},
		{"target=exec: x {port},variant=old", Cell{"target": "exec: x {port}", "variant": "old"}},
	} {
		got, err := ParseKnobList(c.text)
		if err != nil || got.String() != c.want.String() {
			t.Errorf("%q reads as %v, %v; want %v", c.text, got, err, c.want)
		}
	}
	for text, says := range map[string]string{
		"": "write for example", "epoll": "write for example", "connections=4,wriet=split": "did you mean write?", "request=1,request=2": "twice",
		"connections=1,2": "write for example", "framing=x": "choose one of",
	} {
		if c, err := ParseKnobList(text); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q reads as %v, %v; want an error that says %q", text, c, err, says)
		}
	}
}
