package report

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	hdr "github.com/HdrHistogram/hdrhistogram-go"

	"github.com/sockbench/sockbench/internal/testenv"
	"github.com/sockbench/sockbench/plan"
	"github.com/sockbench/sockbench/results"
	"github.com/sockbench/sockbench/results/stats"
)

// aFolder is a run folder, and what is read of it: one cell of many requests, some of which time out, and one of few, in
// four blocks, of which one was run again; one trial failed.
func aFolder(t *testing.T) (dir string, in Input) {
	t.Helper()
	p := newPlan(t, 4)
	dir = filepath.Join(t.TempDir(), "run")
	log, err := results.Create(dir, manifest(p))
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for block, attempts := range []int{1, 2, 1, 1} {
		for attempt := range attempts {
			for i, x := range p.Block(block, attempt) {
				r := drawn(t, x, rng)
				if block == 3 && i == 1 {
					r = failed(x, "target epoll: too many open files")
				}
				if err := log.Append(r); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	run, err := results.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	cells, err := results.Summarize(p.Cells(), run.Records)
	if err != nil {
		t.Fatal(err)
	}
	return dir, Input{Manifest: run.Manifest, Records: run.Records, Answer: results.Answer{Verdict: "done", Cells: cells, Run: dir}}
}

// drawn is a record with random response times of two modes, as Nagle's algorithm makes them.
func drawn(t *testing.T, x plan.Trial, rng *rand.Rand) results.Record {
	r := fine(x)
	r.Started = r.Started.Add(time.Duration(x.Block*10_000+x.Order*1_234) * time.Millisecond)
	response, service := stats.NewLatency(), stats.NewLatency()
	n, lost := 1000, 0
	if x.Cell["TCP_NODELAY"] == "on" {
		n, lost = 20_000, 7
	}
	for i := range n {
		ns := int64(math.Exp(rng.NormFloat64()/2) * 60_000)
		if rng.IntN(50) == 0 {
			ns += 40_000_000
		}
		if i < lost {
			response.RecordAge(5_000_000_000 + ns)
			continue
		}
		response.Record(ns)
		service.Record(ns - ns/8)
	}
	m := r.Metrics
	m.Offered, m.Completed, m.TimedOut = int64(n), int64(n-lost), int64(lost)
	m.Throughput = float64(n - lost)
	m.Response, m.Service = response.Summary(), service.Summary()
	for name, l := range map[string]*stats.Latency{"response": &response, "service": &service} {
		text, err := l.Encode()
		if err != nil {
			t.Fatal(err)
		}
		r.Histograms[name] = text
	}
	return r
}

// export writes a format to a file of the test.
func export(t *testing.T, format string, in Input) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "export")
	if err := os.WriteFile(path, []byte(write(t, format, in)), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// command runs a program of others, which must be there already: nothing is fetched.
func command(t *testing.T, env []string, name string, args ...string) (out []byte) {
	t.Helper()
	c := exec.Command(name, args...)
	c.Env = append(os.Environ(), env...)
	var said strings.Builder
	c.Stderr = &said
	out, err := c.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s%s", name, err, out, said.String())
	}
	return out
}

// A script that shares no code with this module comes to the same numbers, and would say so if it did not.
func TestPythonComesToTheSame(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		testenv.Skip(t, "python3", err.Error())
	}
	dir, in := aFolder(t)
	out := string(command(t, nil, python, "../../docs/recompute.py", dir, export(t, "json", in)))
	if want := "38 numbers of 2 cells compared, 0 differ\n"; out != want {
		t.Errorf("%q, want %q", out, want)
	}
	for i := range in.Answer.Cells {
		if m := in.Answer.Cells[i].Merged.Metrics; i == 0 {
			*m.Response.P99++
		} else {
			m.TimedOut++ // which is part of errors, too
		}
	}
	c := exec.Command(python, "../../docs/recompute.py", dir, export(t, "json", in))
	if out, err := c.Output(); err == nil || !strings.Contains(string(out), "38 numbers of 2 cells compared, 3 differ") {
		t.Errorf("%v: three numbers are wrong, but it says\n%s", err, out)
	}
}

// What hdr-histogram-js says of a histogram.
type jsHistogram struct {
	Tag         string
	Start, End  float64 // ms
	Count, Max  int64
	Mean        float64
	Percentiles [5]int64
	Buckets     [][2]int64 // value and count
}

// check compares it with what this module's library makes of the same text.
func (js *jsHistogram) check(t *testing.T, text string) {
	t.Helper()
	h, err := hdr.Decode([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	var buckets [][2]int64
	for _, b := range h.Distribution() {
		if b.Count > 0 {
			buckets = append(buckets, [2]int64{b.From, b.Count})
		}
	}
	if js.Count != h.TotalCount() || js.Max != h.Max() || math.Abs(js.Mean/h.Mean()-1) > 1e-9 || !slices.Equal(js.Buckets, buckets) {
		t.Errorf("%d values in %d buckets up to %d, mean %g; here %d in %d up to %d, mean %g",
			js.Count, len(js.Buckets), js.Max, js.Mean, h.TotalCount(), len(buckets), h.Max(), h.Mean())
	}
	for i, p := range []float64{.5, .9, .99, .999, .9999} {
		// Where p·n is no whole number, JavaScript rounds up and Go to the nearest.
		if rank := p * float64(h.TotalCount()); math.Abs(rank-math.Round(rank)) < 1e-6 && js.Percentiles[i] != h.ValueAtQuantile(p*100) {
			t.Errorf("p%g of %d values is %d, here %d", p*100, h.TotalCount(), js.Percentiles[i], h.ValueAtQuantile(p*100))
		}
	}
}

func TestHdrHistogramJSReadsTheSame(t *testing.T) {
	node, err := exec.LookPath("node")
	if err != nil {
		testenv.Skip(t, "node", err.Error())
	}
	if _, err := os.Stat("testdata/js/node_modules/hdr-histogram-js"); err != nil {
		testenv.Skip(t, "hdr-histogram-js", "it is not installed: npm ci --prefix results/report/testdata/js")
	}
	dir, in := aFolder(t)
	var got struct {
		Trials    map[string]*jsHistogram
		Intervals []*jsHistogram
	}
	if err := json.Unmarshal(command(t, nil, node, "testdata/js/read.js", dir, export(t, "hlog", in)), &got); err != nil {
		t.Fatal(err)
	}
	for _, r := range in.Records {
		for name, text := range r.Histograms {
			js := got.Trials[fmt.Sprintf("%s/%d/%s", r.ID, r.Attempt, name)]
			if js == nil {
				t.Fatalf("trial %s: histogram %s was not read", r.ID, name)
			}
			js.check(t, text)
		}
	}
	counting, _ := results.Counting(in.Records)
	for _, r := range counting {
		for name, text := range r.Histograms {
			i := slices.IndexFunc(got.Intervals, func(js *jsHistogram) bool { return js.Tag == tag(in.Manifest.Plan, name, r.Cell) })
			if i < 0 {
				t.Fatalf("the log has no line %s of block %d", tag(in.Manifest.Plan, name, r.Cell), r.Block)
			}
			js := got.Intervals[i]
			if got.Intervals = slices.Delete(got.Intervals, i, i+1); math.Abs(js.Start-float64(r.Started.UnixMilli())) > .5 || math.Abs(js.End-js.Start-1000) > .5 {
				t.Errorf("%s lasts from %v to %v ms, the trial began at %d for 1000 ms", js.Tag, js.Start, js.End, r.Started.UnixMilli())
			}
			js.check(t, text)
		}
	}
	if len(got.Intervals) > 0 {
		t.Errorf("%d lines of the log are of no trial that counts", len(got.Intervals))
	}
}

func TestBenchstatReadsBothCells(t *testing.T) {
	offline := []string{"GOPROXY=off"}
	probe := exec.Command("go", "tool", "-modfile=../../tools/go.mod", "-n", "benchstat")
	probe.Env = append(os.Environ(), offline...)
	if out, err := probe.CombinedOutput(); err != nil {
		testenv.Skip(t, "benchstat", "its source is not there: (cd tools && go mod download): "+string(out))
	}
	_, in := aFolder(t)
	out := string(command(t, offline, "go", "tool", "-modfile=../../tools/go.mod", "benchstat", "-format=csv", "-row=/target", "-col=/TCP_NODELAY", export(t, "benchfmt", in)))
	_, p50, ok := strings.Cut(out, "\n,p50-sec,CI,p50-sec,CI,vs base,P\n")
	fields := strings.Split(strings.SplitN(p50, "\n", 2)[0], ",")
	if !ok || len(fields) < 6 || fields[0] != "epoll" || !strings.HasSuffix(fields[len(fields)-1], "n=4+3") {
		t.Fatalf("no p50 of both cells, %q, in\n%s", fields, out)
	}
	for i, level := range []plan.Level{"off", "on"} {
		got, err := strconv.ParseFloat(fields[1+2*i], 64)
		if want := medianP50(in.Records, level); err != nil || math.Abs(got*1e9/want-1) > 1e-9 {
			t.Errorf("%v; p50 with TCP_NODELAY=%s is %gs in the median, the trials say %gns", err, level, got, want)
		}
	}
}

// medianP50 is that of the trials that count.
func medianP50(records []results.Record, level plan.Level) float64 {
	var all []int64
	counting, _ := results.Counting(records)
	for _, r := range counting {
		if r.Cell["TCP_NODELAY"] == level && r.Metrics != nil {
			all = append(all, *r.Metrics.Response.P50)
		}
	}
	slices.Sort(all)
	return float64(all[(len(all)-1)/2]+all[len(all)/2]) / 2
}
