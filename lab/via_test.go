package lab

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sockbench/sockbench/internal/quiet"
)

// What stands in front of a target passes every request on, is charged for it, and adds its time to the response and not
// to what the server says of its own.
func TestVia(t *testing.T) {
	quiet.Steady(t, func(t testing.TB) {
		var l Lab
		defer l.Close()
		for _, via := range []string{"none", "proxy"} {
			r := run(t, &l, 50*time.Millisecond, 300*time.Millisecond, "via", via, "connections", "4", "service_time", "sleep:2ms")
			m := r.Metrics
			if m.Completed != m.Offered || m.Handled.Requests < m.Completed || m.Handled.Accepts != 4 || m.Handled.Protocol > 0 {
				t.Errorf("%s: %d of %d completed, the server handled %d on %d connections", via, m.Completed, m.Offered, m.Handled.Requests, m.Handled.Accepts)
			}
			if used := m.Via.CPUUser+m.Via.CPUSystem > 0; used != (via == "proxy") {
				t.Errorf("via %s used CPU time: %v", via, used)
			}
			if mean := time.Duration(m.Handled.Service.Mean); mean < 2*time.Millisecond || mean > 3*time.Millisecond {
				t.Errorf("via %s: the server says that it worked %v for a request", via, mean)
			}
			t.Logf("via %s: mean response %v", via, time.Duration(m.Response.Mean))
		}
	})
}

// A trial whose proxy dies fails, and says so.
func TestViaDies(t *testing.T) {
	var l Lab
	defer l.Close()
	for _, c := range []struct{ via, says string }{
		{"exec: sh -c 'exit 3' {port} {upstream}", "exit status 3"},
	} {
		r, err := l.Run(t.Context(), trials(t, 10*time.Millisecond, 50*time.Millisecond, "via", c.via)[0])
		if err != nil {
			t.Fatal(err)
		}
		if r.Stage != "serve" || !strings.Contains(r.Error, c.says) {
			t.Errorf("%s: stage %s: %s, want %q", c.via, r.Stage, r.Error, c.says)
		}
	}
	l.Started = func(pids map[string]int) {
		time.AfterFunc(400*time.Millisecond, func() { syscall.Kill(pids[viaPart], syscall.SIGKILL) })
	}
	r, err := l.Run(t.Context(), trials(t, 10*time.Millisecond, time.Second, "via", "proxy")[0])
	if err != nil {
		t.Fatal(err)
	}
	if r.Error == "" || !strings.Contains(r.Error, "via") {
		t.Errorf("stage %s: %s, metrics %v", r.Stage, r.Error, r.Metrics != nil)
	}
}
