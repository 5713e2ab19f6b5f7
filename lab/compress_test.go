package lab

import (
	"testing"
	"time"

	"github.com/sockbench/sockbench/internal/quiet"
)

// Compression trades bytes for CPU time of both sides: of bodies that repeat themselves to nine tenths, a tenth or so is
// sent. Every reply is decompressed and checked.
func TestCompress(t *testing.T) {
	quiet.Steady(t, func(t testing.TB) {
		var l Lab
		defer l.Close()
		type seen struct{ sent, received, client, server float64 }
		got := map[string]seen{}
		for _, compress := range []string{"none", "gzip:1", "zstd:1"} {
			m := run(t, &l, 50*time.Millisecond, 300*time.Millisecond, "compress", compress, "compressible", "90%", "request", "64KiB", "reply", "32KiB", "connections", "4").Metrics
			if m.Completed != m.Offered || len(m.Errors) > 0 || m.Handled.Protocol > 0 || m.Completed < 20 {
				t.Errorf("%s: %d of %d completed, errors %v, %d protocol errors", compress, m.Completed, m.Offered, m.Errors, m.Handled.Protocol)
			}
			n := float64(m.Replies)
			got[compress] = seen{float64(m.SentBytes) / n, float64(m.RecvBytes) / n, float64(m.Client.CPUUser) / n, float64(m.Server.CPUUser) / n}
			t.Logf("%s: %.0f/s, each %.0f bytes sent, %.0f received, %.0f us of the client's CPU in its own code, %.0f us of the server's", compress, m.Throughput,
				got[compress].sent, got[compress].received, got[compress].client/1e3, got[compress].server/1e3)
			for _, v := range m.Validity {
				if v.Code == "message_boundaries" && v.Verdict != "ok" {
					t.Errorf("%s: %+v", compress, v)
				}
			}
		}
		plain := got["none"]
		for _, compress := range []string{"gzip:1", "zstd:1"} {
			c := got[compress]
			if c.sent > plain.sent/5 || c.received > plain.received/5 || c.sent < plain.sent/20 {
				t.Errorf("%s: %.0f and %.0f bytes each way instead of %.0f and %.0f", compress, c.sent, c.received, plain.sent, plain.received)
			}
			if c.client < 2*plain.client || c.server < 2*plain.server {
				t.Errorf("%s costs nothing: %.0f and %.0f ns of CPU, without %.0f and %.0f", compress, c.client, c.server, plain.client, plain.server)
			}
		}
	})
}
