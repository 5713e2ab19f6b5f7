package netpath

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

func TestText(t *testing.T) {
	for text, want := range map[string]string{
		"none":                                "none",
		"veth":                                "veth",
		" delay=10ms , rate=100mbit ":         "delay=10ms,rate=100mbit",
		"rate=100mbit,delay=10ms":             "delay=10ms,rate=100mbit",
		"up.delay=10ms,down.delay=10ms":       "delay=10ms",
		"up.rate=5mbit,down.rate=50mbit":      "up.rate=5mbit,down.rate=50mbit",
		"down.loss=1%":                        "down.loss=1%",
		"delay=0":                             "delay=0",
		"backend=link":                        "delay=0",
		"delay=1ms,backend=link":              "delay=1ms",
		"mtu=9000":                            "mtu=9000",
		"mtu=1500,delay=1ms":                  "delay=1ms",
		"mtu=9000,backend=veth":               "mtu=9000",
		"rate=1gbit":                          "rate=1gbit",
		"rate=1gbit,backend=tbf":              "rate=1gbit",
		"rate=10mbit,queue=64KiB,backend=tbf": "rate=10mbit,queue=64KiB,backend=tbf",
		"satellite":                           "satellite",
		"delay=280ms,up.rate=5mbit,down.rate=50mbit": "satellite",
		"4g,loss=1%": "delay=85ms,jitter=10ms,rate=9mbit,loss=1%",
	} {
		var s Spec
		if err := s.UnmarshalText([]byte(text)); err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if got := s.String(); got != want {
			t.Errorf("%q is written %q, want %q", text, got, want)
		}
		var again Spec
		if err := again.UnmarshalText([]byte(s.Long())); err != nil || again != s {
			t.Errorf("%q: its long form %q reads as %+v (%v), want %+v", text, s.Long(), again, err, s)
		}
	}
}

func TestWrongText(t *testing.T) {
	for text, want := range map[string]string{
		"":                               `no path ""`,
		"transatlantik":                  "transatlantic",
		"delay":                          "no path \"delay\"",
		"delay=10ms,veth":                "no key and value",
		"delay=10":                       "has no unit",
		"delay=1ms,delay=2ms":            "delay is named twice",
		"latency=10ms":                   `no "latency"`,
		"delay=1m":                       "at most 10s",
		"delay=1ms,jitter=2ms":           "jitter=2ms",
		"reorder=1%":                     "name a delay",
		"queue=64KiB":                    "name a rate",
		"rate=1kbit":                     "at least 8kbit",
		"rate=1mbit,queue=1000":          "1514 bytes would never find room",
		"mtu=100":                        "576 to 9000",
		"delay=1ms,rate=1gbit":           "honest up to 500mbit",
		"delay=1ms,mtu=576,rate=400mbit": "honest up to 192mbit",
		"delay=1ms,backend=tbf":          "rate and queue and nothing else",
		"delay=1ms,backend=veth":         "does nothing to frames",
		"delay=1ms,backend=netem":        "no backend",
		"backend=tbf":                    "it takes a rate",
	} {
		var s Spec
		if err := s.UnmarshalText([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

func TestBackend(t *testing.T) {
	for text, want := range map[string]string{"rate=100mbit": Link, "rate=1gbit": TBF, "delay=1ms": Link, "veth": Veth, "mtu=1400": Veth, "delay=0": Link} {
		var s Spec
		if err := s.UnmarshalText([]byte(text)); err != nil || s.backend() != want || s.Emulated() != (want == Link) {
			t.Errorf("%q is made by %q (%v), want %q", text, s.backend(), err, want)
		}
	}
}

func TestRoom(t *testing.T) {
	for text, want := range map[string]int{
		"rate=1mbit":                          64 << 10,  // what TCP hands over at once
		"rate=500mbit":                        125_000,   // 2 ms
		"rate=100mbit,delay=20ms":             500_000,   // one bandwidth-delay product
		"rate=100mbit,up.delay=40ms":          500_000,   // of the whole path
		"rate=10mbit,delay=1ms,queue=1514000": 1_514_000, // as named
		"delay=20ms":                          0,         // nothing queues
	} {
		var s Spec
		if err := s.UnmarshalText([]byte(text)); err != nil || int(s.Room(s.Up)) != want {
			t.Errorf("%q: the queue holds %d bytes (%v), want %d", text, s.Room(s.Up), err, want)
		}
	}
}

func TestPresets(t *testing.T) {
	doc, err := os.ReadFile("../docs/paths.md")
	if err != nil {
		t.Fatal(err)
	}
	var rows []string
	for _, p := range Presets {
		rows = append(rows, fmt.Sprintf("| `%s` | %s | %s |", p.Name, p.Doc, p.Source))
	}
	if !strings.Contains(string(doc), "|---|---|---|\n"+strings.Join(rows, "\n")+"\n<!-- presets -->") {
		t.Errorf("docs/paths.md has other presets than these:\n%s", strings.Join(rows, "\n"))
	}
	for _, p := range Presets {
		if err := p.Spec.Check(); err != nil || p.Doc == "" || p.Source == "" {
			t.Errorf("%s: %v, %q, %q", p.Name, err, p.Doc, p.Source)
		}
		if got := p.Spec.String(); got != p.Name {
			t.Errorf("%s is written %s", p.Name, got)
		}
	}
}

func TestFaultText(t *testing.T) {
	for text, want := range map[string]string{
		"none": "none", "blackout@1s+500ms": "blackout@1s+500ms", " blackout@1s ": "blackout@1s", "loss:5%@1s+500ms": "loss:5%@1s+500ms",
		"reset@2s;stall@1s+200ms": "stall@1s+200ms;reset@2s",
	} {
		var f Faults
		if err := f.UnmarshalText([]byte(text)); err != nil || f.String() != want {
			t.Errorf("%q is %q (%v), want %q", text, f, err, want)
		}
	}
	for text, want := range map[string]string{
		"blackout": "it has no time", "flood@1s": "no such kind", "loss@1s": "must have one", "stall@1s": "blackout", "reset@1s+1s": "no length",
		"blackout@1s+0s": "takes no time", "blackout@x": "not a duration", "blackout@1s;stall@2s+1s": "not over", "stall@1s+2s;reset@2s": "not over",
		"stall:5%@1s+1s": "only loss has a share", "loss:150%@1s": "more than the whole",
	} {
		var f Faults
		if err := f.UnmarshalText([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

func TestSysctl(t *testing.T) {
	if s, err := NewSysctl("net.ipv4.tcp_rmem", " 4096\t131072  6291456 "); err != nil || s.Value != "4096 131072 6291456" {
		t.Errorf("%+v, %v", s, err)
	}
	for name, value := range map[string]string{"kernel.hostname": "x", "net.ipv4/../../x": "1", "net.ipv4.tcp_rmem": ""} {
		if _, err := NewSysctl(name, value); err == nil {
			t.Errorf("%s=%q is taken", name, value)
		}
	}
}
