package lab

import (
	"slices"
	"testing"
	"time"

	"github.com/sockbench/sockbench/internal/quiet"
	"github.com/sockbench/sockbench/sockopt"
)

// Known answer: a stream over a path of known rate and delay looks like that from its sender's end while it runs, every
// 100 ms. Nothing else than streams is looked at, nor the other processes of a server of several.
func TestSamples(t *testing.T) {
	quiet.Steady(t, func(t testing.TB) {
		var l Lab
		defer l.Close()
		paths(t, &l)
		const rate = 20e6 / 8 * 1448 / 1514
		for _, workload := range []string{"stream-up", "stream-down"} {
			m := run(t, &l, 400*time.Millisecond, time.Second, "path", "delay=10ms,rate=20mbit", "connections", "2", "workload", workload).Metrics
			sender, receiver := m.Client.Samples, m.Server.Samples
			if workload == "stream-down" {
				sender, receiver = receiver, sender
			}
			for side, all := range map[string][]sockopt.Sample{"sender": sender, "receiver": receiver} {
				if len(all) < 8 || len(all) > 10 || !slices.IsSortedFunc(all, func(a, b sockopt.Sample) int { return int(a.At - b.At) }) ||
					all[0].At < 0 || all[len(all)-1].At > int64(time.Second) {
					t.Fatalf("%s: the %s has %d samples: %+v", workload, side, len(all), all)
				}
			}
			first, last := sender[0], sender[len(sender)-1]
			said := 0.
			for _, s := range sender {
				said += float64(s.DeliveryRate) / float64(len(sender))
				if s.Connections != 2 || s.AppLimited != 0 || s.MinRTT < 20_000 || s.MinRTT > 25_000 || s.RTT < s.MinRTT || s.NotSent <= 0 || s.SndWnd < 10_000 || s.Cwnd < 4 {
					t.Errorf("%s: sender %+v", workload, s)
				}
			}
			acked := float64(last.BytesAcked-first.BytesAcked) / float64(last.At-first.At) * 1e9
			t.Logf("%s: of the path's rate %.3f were acknowledged, %.3f is the delivery rate; RTT %d of %d us", workload, acked/rate, said/rate, last.RTT, last.MinRTT)
			if acked < .9*rate || acked > 1.1*rate || said < .6*rate || said > 1.5*rate {
				t.Errorf("%s: of the path's rate %.3f were acknowledged, %.3f is the delivery rate", workload, acked/rate, said/rate)
			}
			if busy := last.Busy - first.Busy; busy < (last.At-first.At)/1e3*2*8/10 || last.SndbufLimited+last.RwndLimited > last.Busy {
				t.Errorf("%s: two senders who never stop were busy for %d us: %+v", workload, busy, last)
			}
			if r := receiver[len(receiver)-1]; r.Connections != 2 || r.RcvWnd < 10_000 || r.BytesAcked > last.BytesAcked/100 {
				t.Errorf("%s: receiver %+v", workload, r)
			}
		}
		m := run(t, &l, 0, 300*time.Millisecond, "workload", "stream-up", "target", "prefork", "connections", "20").Metrics
		if len(m.Client.Samples) == 0 || m.Client.Samples[0].Connections != 16 || m.Server.Samples != nil {
			t.Errorf("prefork: client %+v, server %+v", m.Client.Samples, m.Server.Samples)
		}
		if m = run(t, &l, 0, 300*time.Millisecond).Metrics; m.Client.Samples != nil || m.Server.Samples != nil {
			t.Errorf("rr: client %+v, server %+v", m.Client.Samples, m.Server.Samples)
		}
	})
}

// Known answer: what the path loses of a stream is sent again, and its sender says so, and the counters of its network
// namespace; those of the other end's are of the other end.
func TestLossesAndNamespaces(t *testing.T) {
	quiet.Steady(t, func(t testing.TB) {
		var l Lab
		defer l.Close()
		paths(t, &l)
		m := run(t, &l, 200*time.Millisecond, time.Second, "path", "up.loss=1%,delay=2ms,rate=50mbit", "connections", "4", "workload", "stream-up").Metrics
		lost, resent := m.Path.Up.Lost+m.Path.Up.QueueDrops, m.Client.TCP["total_retrans"]
		t.Logf("%d frames lost, %d sent again; the client's namespace says %d, the server's %d", lost, resent, m.Client.Net["Tcp.RetransSegs"], m.Server.Net["Tcp.RetransSegs"])
		if lost < 10 || resent < lost*8/10 || resent > lost*3/2+10 {
			t.Errorf("%d frames were lost, %d sent again", lost, resent)
		}
		if n := m.Client.Net["Tcp.RetransSegs"]; n < resent || n > resent+resent/5+10 || m.Server.Net["Tcp.RetransSegs"] > n/4 {
			t.Errorf("%d frames were sent again: the client's namespace says %d, the server's %d", resent, n, m.Server.Net["Tcp.RetransSegs"])
		}
		if m.Client.Worst["total_retrans"] <= 0 || m.Client.Worst["total_retrans"] > resent || m.Client.TCP["sack"] != 4 || m.Client.TCP["bytes_retrans"] <= 0 {
			t.Errorf("client %v\nworst %v", m.Client.TCP, m.Client.Worst)
		}
		for name, want := range map[string][2]int64{"Tcp.ActiveOpens": {4, 0}, "Tcp.PassiveOpens": {0, 4}, "sockstat.TCP.inuse": {4, 5}} {
			if c, s := m.Client.Net[name], m.Server.Net[name]; c != want[0] || s != want[1] {
				t.Errorf("%s: the client's namespace says %d, the server's %d; want %d and %d", name, c, s, want[0], want[1])
			}
		}
		// Whose FIN comes first waits for what may still come.
		m = run(t, &l, 0, 100*time.Millisecond, "workload", "crr").Metrics
		if n := m.Server.Net["sockstat.TCP.tw"]; n <= 0 || n > m.Handled.Accepts {
			t.Errorf("%d connections were opened and closed, %d are in TIME_WAIT", m.Handled.Accepts, n)
		}
	})
}
