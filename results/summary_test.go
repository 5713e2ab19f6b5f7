package results

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	hdr "github.com/HdrHistogram/hdrhistogram-go"

	"github.com/sockbench/sockbench/plan"
	"github.com/sockbench/sockbench/results/stats"
)

func TestMergeAddsAndNeverAverages(t *testing.T) {
	p := newPlan(t, 2)
	a, b := fine(p.Block(0, 0)[0], 20_000), fine(p.Block(0, 0)[0], 20_000)
	b.Block, b.ID = 1, "other"
	b.Metrics.Duration, b.Metrics.Throughput, b.Metrics.Completed = 3e9, 10_000, 30_000
	b.Metrics.Server.CPUUser, b.Metrics.Server.CPUSystem = 1e9, 0
	var slow []int64
	for range 100 {
		slow = append(slow, 900)
	}
	b.Metrics.Response, b.Histograms["response"] = quantity(slow, 1000)
	b.Metrics.Response.Censored = ptr(800_000)

	sums, err := Summarize([]plan.Cell{a.Cell}, []Record{a, b})
	if err != nil {
		t.Fatal(err)
	}
	s := sums[0]
	m := s.Merged.Metrics
	if m.Completed != 50_000 || m.Duration != 4e9 || m.Connections.Asked != 32 {
		t.Errorf("completed %d in %d, %d connections", m.Completed, m.Duration, m.Connections.Asked)
	}
	if want := (20_000.0 + 30_000) / 4; m.Throughput != want { // not the 15,000 of an average
		t.Errorf("throughput %v, want %v", m.Throughput, want)
	}
	cpu, ok := FindMetric("server_cpu_per_request")
	if v, supported := cpu.Get(s.Merged); !ok || !supported || math.Abs(v-1.4e9/50_000) > 1e-6 {
		t.Errorf("server CPU per request %v, want %v", v, 1.4e9/50_000)
	}
	r := m.Response
	if r.Count != 20_100 || r.Min != 100_000 || r.Max != 900_000 || r.P99 == nil || *r.P99 > 150_000 || *r.P999 != 900_000 {
		t.Errorf("response %+v: 100 slow ones of 20,100 are above p99 and below p99.9", r)
	}
	if r.P9999 != nil {
		t.Error("20,100 requests do not support p99.99")
	}
	if want := (20_000*a.Metrics.Response.Mean + 100*900_000) / 20_100; math.Abs(r.Mean-want) > 1 {
		t.Errorf("mean %v, want %v", r.Mean, want)
	}
	a.Block, a.ID, a.Metrics.Response.Censored = 2, "third", ptr(850_000)
	for _, rs := range [][]Record{{a, b}, {b, a}} {
		sums, err := Summarize([]plan.Cell{a.Cell}, rs)
		if err != nil || *sums[0].Merged.Metrics.Response.Censored != 800_000 {
			t.Errorf("censored from %v, want the least of all trials (%v)", *sums[0].Merged.Metrics.Response.Censored, err)
		}
	}
	p999, _ := FindMetric("p999")
	p99, _ := FindMetric("p99")
	if got := p999.Text(s.Merged); got != "≥900us" {
		t.Errorf("p99.9 is at or above the first censored value, but shows as %q", got)
	}
	if got := p99.Text(s.Merged); strings.HasPrefix(got, "≥") {
		t.Errorf("p99 is below the first censored value, but shows as %q", got)
	}
}

func TestSupportComesFromTheMergedCount(t *testing.T) {
	p := newPlan(t, 2)
	var rs []Record
	for i := range 2 {
		r := fine(p.Block(i, 0)[0], 0)
		r.Cell = p.Cells()[0]
		r.Metrics.Response, r.Histograms["response"] = quantity(slices.Repeat([]int64{5}, 184), 1000)
		r.Metrics.Validity = Judge(&r)
		rs = append(rs, r)
	}
	one, err := Summarize(p.Cells()[:1], rs[:1])
	if err != nil {
		t.Fatal(err)
	}
	both, err := Summarize(p.Cells()[:1], rs)
	if err != nil {
		t.Fatal(err)
	}
	p99, _ := FindMetric("p99")
	if got := p99.Text(one[0].Merged); got != "–" || len(one[0].Doubts) != 1 || one[0].Doubts[0].Code != "few_samples" {
		t.Errorf("184 requests: p99 %q, doubts %+v", got, one[0].Doubts)
	}
	if got := p99.Text(both[0].Merged); got != "5.00us" || len(both[0].Doubts) != 0 {
		t.Errorf("368 requests: p99 %q, doubts %+v", got, both[0].Doubts)
	}
}

func TestCounting(t *testing.T) {
	rec := func(block, attempt, order int) Record {
		return Record{Trial: plan.Trial{Block: block, Attempt: attempt, Order: order}}
	}
	for _, c := range []struct {
		what string
		rs   []Record
		want []string
	}{
		{"a whole repeat counts", []Record{rec(0, 0, 0), rec(0, 0, 1), rec(0, 1, 0), rec(0, 1, 1)}, []string{"0/1", "0/1"}},
		{"one cut short does not", []Record{rec(0, 0, 0), rec(0, 0, 1), rec(0, 1, 0)}, []string{"0/0", "0/0"}},
		{"a block cut short does", []Record{rec(0, 0, 0), rec(0, 0, 1), rec(1, 0, 0)}, []string{"0/0", "0/0", "1/0"}},
		{"of three the last", []Record{rec(0, 0, 0), rec(0, 1, 0), rec(0, 2, 0)}, []string{"0/2"}},
	} {
		counting, repeated := Counting(c.rs)
		if got := describe(counting); !reflect.DeepEqual(got, c.want) || len(counting)+len(repeated) != len(c.rs) {
			t.Errorf("%s: %v count, want %v; %d were repeated", c.what, got, c.want, len(repeated))
		}
	}
}

func TestDoubtsAreUnited(t *testing.T) {
	p := newPlan(t, 3)
	var rs []Record
	for i, steal := range []int64{0, 3e7, 5e8} {
		r := fine(p.Block(i, 0)[0], 0)
		r.Cell = p.Cells()[0]
		r.Metrics.Machine.Hiccup = []int64{5e6, 2e7, 5e6}[i] // a note, a warning, a note
		r.Metrics.Machine.Steal, r.Metrics.Machine.Namespace = steal, SharedHost
		r.Metrics.Validity = Judge(&r)
		rs = append(rs, r)
	}
	rs = append(rs, failed(plan.Trial{Block: 3, Cell: p.Cells()[0]}, "target epoll: no descriptors left"))
	sums, err := Summarize(p.Cells(), rs)
	if err != nil {
		t.Fatal(err)
	}
	s := sums[0]
	if s.Trials != 4 || s.Failed != 1 || s.Error != "target epoll: no descriptors left" {
		t.Errorf("%d trials, %d failed, %q", s.Trials, s.Failed, s.Error)
	}
	var got []string
	for _, d := range s.Doubts {
		got = append(got, fmt.Sprint(d.Code, " ", d.Verdict, " ", d.Trials, " ", strings.Contains(d.Evidence, "p99 may")))
	}
	if want := []string{"hiccups warn 3 true", "steal warn 2 false", "shared_namespace note 3 false"}; !slices.Equal(got, want) {
		t.Errorf("doubts %q, want %q", got, want)
	}
	if empty := sums[1]; empty.Trials != 0 || empty.Merged != nil || len(empty.Doubts) != 0 {
		t.Errorf("a cell without trials: %+v", empty)
	}
	rs[1].Metrics.Machine.Regime = "not pinned"
	if sums, _ = Summarize(p.Cells(), rs); sums[0].Doubts[0].Code != "regimes_mixed" || sums[0].Doubts[0].Verdict != Fail {
		t.Errorf("two regimes in one cell: %+v", sums[0].Doubts)
	}
}

func TestUnreadableHistogramIsNamedAndLeftOut(t *testing.T) {
	p := newPlan(t, 3)
	var rs []Record
	for b := range 3 {
		rs = append(rs, fine(p.Block(b, 0)[0], 0))
		rs[b].Cell, rs[b].ID = p.Cells()[0], fmt.Sprint("trial", b)
	}
	text := rs[1].Histograms["response"]
	for _, broken := range []string{"", "HISTx" + text[5:40], text[:len(text)/2], text[:len(text)/2/4*4], text[:60] + "AAAA" + text[64:]} {
		rs[1].Histograms["response"] = broken
		sums, err := Summarize(p.Cells()[:1], rs)
		q := sums[0].Merged.Metrics.Response
		if err != nil || q.Count != 60_000 || q.P99 == nil || *q.P99 != rs[0].Metrics.Response.Max {
			t.Errorf("%.20q: %v, merged %+v: the other trials' p99 is %d", broken, err, q, rs[0].Metrics.Response.Max)
		}
		if d := sums[0].Doubts; len(d) != 1 || d[0].Code != unreadable || d[0].Verdict != Warn || !strings.Contains(d[0].Evidence, "trial trial1: histogram response") {
			t.Errorf("%.20q: doubts %+v", broken, d)
		}
	}
	delete(rs[1].Histograms, "response")
	sums, _ := Summarize(p.Cells()[:1], rs)
	if sums[0].Merged.Metrics.Response.P50 != nil || sums[0].Merged.Metrics.Response.Count != 60_000 {
		t.Errorf("a histogram that is not there leaves counts and no percentile: %+v", sums[0].Merged.Metrics.Response)
	}
}

// What counts reads is what the library reads.
func TestCountsAreTheLibrarys(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	want := hdr.New(1, stats.Longest, stats.Digits)
	var all counts
	for range 20 {
		h := hdr.New(1, stats.Longest, stats.Digits)
		for range 200 {
			v, n := int64(math.Exp(rng.Float64()*math.Log(stats.Longest))), int64(math.Exp(rng.Float64()*25))
			if err := errors.Join(h.RecordValues(v, n), want.RecordValues(v, n)); err != nil {
				t.Fatal(err)
			}
		}
		text, err := h.Encode(hdr.V2CompressedEncodingCookieBase)
		if err != nil {
			t.Fatal(err)
		}
		if err := all.add(string(text)); err != nil {
			t.Fatal(err)
		}
	}
	if got := all.histogram(); !got.Equals(want) {
		t.Errorf("%d values, want %d", got.TotalCount(), want.TotalCount())
	}
	other, err := hdr.New(1, 1_000_000, 2).Encode(hdr.V2CompressedEncodingCookieBase)
	if err != nil {
		t.Fatal(err)
	}
	if err := all.add(string(other)); err == nil || !strings.Contains(err.Error(), "range") {
		t.Errorf("a histogram of another range: %v", err)
	}
}

func TestMetrics(t *testing.T) {
	r := fine(newPlan(t, 1).Block(0, 0)[0], 20_000)
	r.Metrics.Failed, r.Metrics.TimedOut, r.Metrics.Unfinished, r.Metrics.Offered = 10, 20, 30, 20_000
	want := map[string]string{"throughput": "20.0k", "p50": "124us", "errors": "0.30%", "client_cpu_per_request": "15.0us", "server_cpu_per_request": "20.0us",
		"goodput": "2.56MB/s", "max": "149us", "mean": "124us", "connect_p99": "–", "service_p99": "149us", "p999": "149us", "p90": "144us"}
	for name, text := range want {
		m, ok := FindMetric(name)
		if !ok {
			t.Errorf("no metric %s", name)
			continue
		}
		if got := m.Text(&r); got != text {
			t.Errorf("%s is %q, want %q", name, got, text)
		}
	}
	for _, m := range All {
		if slices.Contains([]string{"throughput", "goodput", "messages_per_read"}, m.Name) == m.Lower {
			t.Errorf("%s: lower is better: %v", m.Name, m.Lower)
		}
		f := failed(plan.Trial{}, "x")
		if got := m.Text(&f); got != "–" {
			t.Errorf("%s of a failed trial is %q", m.Name, got)
		}
	}
	r.Metrics.Response.Censored = r.Metrics.Response.P50
	if m, _ := FindMetric("p50"); m.Text(&r) != "≥124us" {
		t.Errorf("p50 is the first censored value, but shows as %s", m.Text(&r))
	}
	r.Metrics.Server = Side{}
	if m, _ := FindMetric("server_cpu_per_request"); m.Text(&r) != "–" {
		t.Error("a server nobody measured has CPU per request")
	}
	if len(All) != 22 {
		t.Errorf("%d metrics, the contract names 18; via_cpu_per_request and three about faults make 22", len(All))
	}
}

func TestRecordWritesNothingTwice(t *testing.T) {
	r := fine(newPlan(t, 1).Block(0, 0)[0], 0)
	r.Metrics.Handled.Requests = 20_000
	r.Metrics.Handled.Result.Sockets.Applied = r.Metrics.Server.Applied
	data, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(data), `"applied"`); n != 2 { // client, server
		t.Errorf("applied options are written %d times:\n%s", n, data)
	}
	var top map[string]json.RawMessage
	var inner struct{ Metrics map[string]json.RawMessage }
	if err := json.Unmarshal(data, &top); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &inner); err != nil {
		t.Fatal(err)
	}
	for _, key := range strings.Fields("schema id block order attempt seed started cell spec metrics histograms") {
		if top[key] == nil {
			t.Errorf("a line has no %s", key)
		}
	}
	for _, key := range strings.Fields("offered completed backlog_end errors connections duration_ns throughput bytes_sent response service lateness client server handled machine validity intervals") {
		if inner.Metrics[key] == nil {
			t.Errorf("metrics have no %s", key)
		}
	}
	if inner.Metrics["histograms"] != nil || top["error"] != nil {
		t.Error("histograms stand beside metrics, and a trial that went well has no error")
	}
	var again Record
	if err := json.Unmarshal(data, &again); err != nil {
		t.Fatal(err)
	}
	r.Metrics.Handled.Result.Sockets.Applied = nil
	if !reflect.DeepEqual(r, again) {
		t.Errorf("reads back as\n%+v\nwas\n%+v", again, r)
	}
}
