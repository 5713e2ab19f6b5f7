package plan

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// What is chosen for a command acts on it, is done in about a minute, and holds what its command asks for.
func TestForeign(t *testing.T) {
	for _, c := range []struct {
		command string
		cells   int
		levels  map[string]string // of some knobs
	}{
		{"exec: ./s {port}", 8, map[string]string{"write": "split", "connections": "1,16", "client.TCP_NODELAY": "off,on", "client.TCP_QUICKACK": "default,on@each_read"}},
		{"exec:./s --workers {workers} {port}", 16, map[string]string{"workers": "1,4"}},
		{"exec: ./s -b {backlog} -r {server.SO_RCVBUF} {port}", 32, map[string]string{"backlog": "16,1024", "server.SO_RCVBUF": "64KiB,1MiB"}},
		{"exec: ./s -n {TCP_NODELAY} {port}", 8, map[string]string{"TCP_NODELAY": "off,on"}},
		{"exec: ./s -c {connections} -f {framing} {port}", 8, nil}, // which have a value anyway
	} {
		p, err := Foreign(c.command, 4)
		if err != nil {
			t.Errorf("%s: %v", c.command, err)
			continue
		}
		if n := len(p.Cells()); n != c.cells || p.Blocks < 2 || p.Blocks > 6 || p.Time(0) > time.Minute {
			t.Errorf("%s: %d cells, %d blocks, %v", c.command, n, p.Blocks, p.Time(0))
		}
		for knob, want := range c.levels {
			i := slices.IndexFunc(p.Factors, func(f Factor) bool { return f.Knob == knob })
			if i < 0 || strings.Join(p.Factors[i].Levels, ",") != want {
				t.Errorf("%s: %s is not %s: %v", c.command, knob, want, p.Factors)
			}
		}
	}
	if p, err := Foreign("exec: ./s {workers} {port}", 1); err != nil || !slices.ContainsFunc(p.Factors, func(f Factor) bool { return slices.Equal(f.Levels, []Level{"1", "2"}) }) {
		t.Errorf("on one CPU: %v, %v", p, err)
	}
	for command, says := range map[string]string{"exec: ./s": "write {port}", "exec: ./s {prot} {port}": "did you mean port?", "exec: ./s {client.TCP_SYNCNT} {port}": "name the knob client.TCP_SYNCNT"} {
		if _, err := Foreign(command, 2); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want an error that says %q", command, err, says)
		}
	}
	if got, want := Inside("exec: ./s {workers} {port}"), []string{"service_time", "listener", "gomaxprocs"}; !slices.Equal(got, want) {
		t.Errorf("inside act %q, want %q", got, want)
	}
}
