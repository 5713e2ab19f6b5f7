package results

import (
	"bufio"
	"cmp"
	"compress/gzip"
	"encoding/json"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/sockbench/sockbench/plan"
)

// recorded is a run of the default plan on a virtual machine with 2 CPUs: its plan, then a trial per line, without
// histograms and socket counters.
func recorded(t *testing.T) (*plan.Plan, []Record) {
	t.Helper()
	f, err := os.Open("testdata/default.jsonl.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(bufio.NewReader(f))
	if err != nil {
		t.Fatal(err)
	}
	var head struct{ Plan *plan.Plan }
	d := json.NewDecoder(z)
	if err := d.Decode(&head); err != nil {
		t.Fatal(err)
	}
	var rs []Record
	for {
		var r Record
		if err := d.Decode(&r); err == io.EOF {
			return head.Plan, rs
		} else if err != nil {
			t.Fatal(err)
		}
		rs = append(rs, r)
	}
}

// part is the plan and the records of the cells whose knobs have these levels ("epoll,pool"), whatever the others are.
func part(t *testing.T, p *plan.Plan, rs []Record, only plan.Cell) (*plan.Plan, []Record) {
	t.Helper()
	dropped := func(knob string, l plan.Level) bool {
		return only[knob] != "" && !slices.Contains(strings.Split(only[knob], ","), l)
	}
	var factors []plan.Factor
	for _, f := range p.Factors {
		levels := slices.DeleteFunc(slices.Clone(f.Levels), func(l plan.Level) bool { return dropped(f.Knob, l) })
		factors = append(factors, plan.Factor{Knob: f.Knob, Levels: levels})
		rs = slices.DeleteFunc(slices.Clone(rs), func(r Record) bool { return dropped(f.Knob, r.Cell[f.Knob]) })
	}
	q, err := plan.New(p.Name, p.Seed, p.Blocks, p.Warmup, p.Duration, factors)
	if err != nil {
		t.Fatal(err)
	}
	return q, rs
}

// slowed are the records with all metrics of a level worse by a factor.
func slowed(rs []Record, knob string, level plan.Level, by float64) []Record {
	rs = slices.Clone(rs)
	for i := range rs {
		if rs[i].Cell[knob] != level {
			continue
		}
		m := *rs[i].Metrics
		for _, at := range []**int64{&m.Response.P50, &m.Response.P99} {
			if *at != nil {
				*at = ptr(int64(math.Round(float64(**at) * by)))
			}
		}
		m.Throughput /= by // with the same CPU time: more of it per request
		rs[i].Metrics = &m
	}
	return rs
}

// permuted are the records with the cells of each block dealt anew: whatever is found then is a mistake.
func permuted(rs []Record, seed uint64) []Record {
	rs = slices.Clone(rs)
	random := rand.New(rand.NewPCG(seed, 0))
	blocks := map[int][]int{}
	for i, r := range rs {
		blocks[r.Block] = append(blocks[r.Block], i)
	}
	for b := range len(blocks) {
		places := blocks[b]
		random.Shuffle(len(places), func(i, j int) {
			a, b := &rs[places[i]], &rs[places[j]]
			a.Cell, b.Cell = b.Cell, a.Cell
		})
	}
	return rs
}

func claims(fs []Finding) string {
	var lines []string
	for _, f := range fs {
		lines = append(lines, f.Claim)
	}
	return strings.Join(lines, "\n")
}

func TestNagleIsFoundWhereItIs(t *testing.T) {
	p, rs := recorded(t)
	fs := Findings(p, rs)
	if len(fs) == 0 || len(fs) > mostFindings {
		t.Fatalf("%d findings", len(fs))
	}
	f := fs[0]
	want := []plan.Cell{{"TCP_NODELAY": "on", "write": "split", "connections": "8"}, {"TCP_NODELAY": "off", "write": "split", "connections": "8"}}
	if f.Code != "conditional_effect" || f.Metric != "p50" || f.Verdict != Better || f.Needs != 0 || f.Pairs != 36 || !reflect.DeepEqual(f.Cells, want) {
		t.Errorf("finding %+v", f)
	}
	if e := f.Effect; e.Ratio > .01 || e.Low > e.Ratio || e.High < e.Ratio || e.High > .01 || e.Level < .99 || e.Level > .995 {
		t.Errorf("effect %+v", e)
	}
	for _, part := range []string{"With write=split, TCP_NODELAY=on answers ", " times faster than off: p50 44.0ms → ", "99% interval 0.00", "36 pairs). With write=single it makes no difference shown (ratio 0.9"} {
		if !strings.Contains(f.Claim, part) {
			t.Errorf("%q is not in %q", part, f.Claim)
		}
	}
	if !strings.HasPrefix(f.Try, "sockbench run --set target=") || !strings.HasSuffix(f.Try, " --set write=split --set TCP_NODELAY=on,off --set connections=8 --blocks 12 --warmup 100ms --duration 350ms") {
		t.Errorf("try %q", f.Try)
	}
	for _, f := range fs[1:] {
		if f.Cells[0]["write"] != f.Cells[1]["write"] && f.Cells[0]["TCP_NODELAY"] != "on" {
			t.Errorf("the same again: %s", f.Claim)
		}
		if strings.Contains(f.Claim, "blocking") {
			t.Errorf("blocking served one connection of eight, and is compared: %s", f.Claim)
		}
	}
	q, single := part(t, p, rs, plan.Cell{"write": "single"})
	for _, f := range Findings(q, single) {
		if _, ok := f.Cells[0]["TCP_NODELAY"]; ok {
			t.Errorf("no request is split, and yet: %s", f.Claim)
		}
	}
}

func TestOrderOfRecordsIsIrrelevant(t *testing.T) {
	p, rs := recorded(t)
	want := Findings(p, rs)
	rand.New(rand.NewPCG(7, 0)).Shuffle(len(rs), func(i, j int) { rs[i], rs[j] = rs[j], rs[i] })
	if got := Findings(p, rs); !reflect.DeepEqual(got, want) {
		t.Errorf("shuffled records say\n%s\ninstead of\n%s", claims(got), claims(want))
	}
}

func TestChanceIsNotFound(t *testing.T) {
	p, rs := recorded(t)
	even, evenly := part(t, p, rs, plan.Cell{"write": "single", "target": "goroutine,thread,pool,epoll"})
	for name, c := range map[string]struct {
		plan    *plan.Plan
		records []Record
	}{"all": {p, rs}, "even": {even, evenly}} {
		wrong := 0
		for seed := range uint64(100) {
			if fs := Findings(c.plan, permuted(c.records, seed)); len(fs) > 0 {
				wrong++
				t.Logf("%s, seed %d: %s", name, seed, claims(fs))
			}
		}
		if wrong > 5 {
			t.Errorf("%s: findings in %d of 100 runs with permuted labels", name, wrong)
		}
	}
}

func TestPlantedSlowLevelIsNamed(t *testing.T) {
	p, rs := recorded(t)
	for _, c := range []struct {
		only        plan.Cell
		knob, level string
	}{
		{plan.Cell{"target": "goroutine,epoll"}, "target", "epoll"},
		{plan.Cell{"target": "goroutine,epoll"}, "target", "goroutine"},
		{plan.Cell{"write": "single"}, "TCP_NODELAY", "on"},
		{plan.Cell{"write": "single"}, "TCP_NODELAY", "off"},
	} {
		q, kept := part(t, p, rs, c.only)
		found := func(rs []Record) bool {
			return slices.ContainsFunc(Findings(q, rs), func(f Finding) bool {
				return f.Code == "effect" && f.Cells[1][c.knob] == c.level && f.Cells[0][c.knob] != c.level
			})
		}
		if found(kept) {
			t.Errorf("%s=%s is slow before it was made so: %s", c.knob, c.level, claims(Findings(q, kept)))
		}
		slow := slowed(kept, c.knob, c.level, 1.15)
		if !found(slow) {
			t.Errorf("%s=%s is 15%% slower, which is not found: %s\n%s", c.knob, c.level, claims(Findings(q, slow)), Precision(q, slow))
		}
	}
}

// made are records of every trial of p, open loops, with a p50 of their own and a little noise.
func made(t *testing.T, p *plan.Plan, p50 func(c plan.Cell) float64) []Record {
	t.Helper()
	var rs []Record
	random, one := rand.New(rand.NewPCG(1, 1)), fine(p.Block(0, 0)[0], 20_000)
	for b := range p.Blocks {
		for _, x := range p.Block(b, 0) {
			r, m := one, *one.Metrics
			x.Spec.Load.Rate = 20_000
			r.Trial, r.Metrics = x, &m
			r.Metrics.Response.P50 = ptr(int64(p50(x.Cell) * (1 + .02*random.Float64())))
			rs = append(rs, r)
		}
	}
	return rs
}

func threeByTwo(t *testing.T, blocks int) *plan.Plan {
	t.Helper()
	p, err := plan.New("x", 1, blocks, 0, 1e9, []plan.Factor{{Knob: "target", Levels: []string{"epoll", "blocking", "goroutine"}}, {Knob: "TCP_NODELAY", Levels: []string{"off", "on"}}})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// blockingAt gives blocking this p50 in ms, others 1 ms.
func blockingAt(ms float64) func(plan.Cell) float64 {
	return func(c plan.Cell) float64 {
		if c["target"] == "blocking" {
			return ms * 1e6
		}
		return 1e6
	}
}

func TestTheOddLevelIsNamed(t *testing.T) {
	p := threeByTwo(t, 10)
	for ms, text := range map[float64]string{2: " No other target is as bad as blocking.", .5: " No other target is as good as blocking."} {
		if fs := Findings(p, made(t, p, blockingAt(ms))); len(fs) != 1 || !strings.HasSuffix(fs[0].Claim, text) || fs[0].Code != "effect" {
			t.Errorf("findings:\n%s", claims(fs))
		}
	}
}

func TestInteractionsAreToldByLevel(t *testing.T) {
	p := threeByTwo(t, 20)
	fs := Findings(p, made(t, p, func(c plan.Cell) float64 {
		ms := map[string]float64{"epoll on": 2, "epoll off": 8, "blocking off": 1.5}[c["target"]+" "+c["TCP_NODELAY"]]
		return 1e6 * cmp.Or(ms, 1)
	}))
	for _, part := range []string{"With target=epoll, TCP_NODELAY=on answers 4.0 times faster than off: p50 8.0", " 20 pairs). With target=goroutine it makes no difference shown (ratio 1.00–1.0",
		" With target=blocking the ratio is 0.67 (0.66–0.67"} {
		if len(fs) == 0 || !strings.Contains(fs[0].Claim, part) {
			t.Errorf("%q is not in\n%s", part, claims(fs))
		}
	}
}

func TestTradeOffsAreTold(t *testing.T) {
	p := threeByTwo(t, 10)
	rs := made(t, p, blockingAt(.25))
	for _, r := range rs {
		if r.Cell["target"] == "blocking" {
			r.Metrics.Response.P99 = ptr(int64(300_000))
		}
	}
	if fs := Findings(p, rs); len(fs) != 1 || !strings.Contains(fs[0].Claim, "By p99 it is the other way round: 149us → 300us.") {
		t.Errorf("findings:\n%s", claims(fs))
	}
}

func TestDoubtfulPairsAreLeftOut(t *testing.T) {
	p := threeByTwo(t, 30)
	for name, c := range map[string]struct {
		spoil func(r *Record)
		found bool
	}{
		"as it is":   {func(*Record) {}, true},
		"few errors": {func(r *Record) { r.Metrics.Failed = r.Metrics.Offered / 1000 }, true},
		"failed":     {func(r *Record) { r.Metrics, r.Error = nil, "no" }, false},
		"starved":    {func(r *Record) { r.Spec.Load.Dispatch = "sticky"; r.Metrics.Connections.Served = 1 }, false},
		"sometimes": {func(r *Record) {
			if r.Block%2 == 0 {
				r.Metrics.Response.P50 = nil
			}
		}, false},
		"unsupported":  {func(r *Record) { r.Metrics.Response.P50 = nil }, false},
		"died":         {func(r *Record) { r.Metrics.Validity = []Doubt{{"target_died", Fail, ""}} }, false},
		"errors":       {func(r *Record) { r.Metrics.Failed = r.Metrics.Offered / 10 }, false},
		"other regime": {func(r *Record) { r.Metrics.Machine.Regime = "shared" }, false},
		"at the limit": {func(r *Record) { r.Spec.Load.Rate = 0; r.Metrics.Server.CPUUser = 1e9 }, false},
		"two CPUs": {func(r *Record) {
			r.Spec.Load.Rate = 0
			r.Metrics.Server.CPUUser = 2e9
			r.Metrics.Server.CPUs = []int{2, 3}
		}, true},
		"shared CPUs": {func(r *Record) {
			r.Spec.Load.Rate = 0
			r.Metrics.Server.CPUUser = 2e9
			r.Metrics.Server.CPUs = []int{0, 1}
		}, false},
	} {
		rs := made(t, p, blockingAt(50))
		for i := range rs {
			if rs[i].Cell["target"] == "blocking" {
				c.spoil(&rs[i])
			}
		}
		fs := Findings(p, rs)
		if found := slices.ContainsFunc(fs, func(f Finding) bool { return f.Metric == "p50" }); found != c.found {
			t.Errorf("%s: %q", name, claims(fs))
		}
	}
}

func TestCensoredIsAtLeast(t *testing.T) {
	p := threeByTwo(t, 10)
	for target, found := range map[string]bool{"blocking": true, "epoll goroutine": false, "": true} {
		rs := made(t, p, blockingAt(3))
		for i := range rs {
			if strings.Contains(target, rs[i].Cell["target"]) {
				rs[i].Metrics.Response.Censored = ptr(1000)
			}
		}
		fs := slices.DeleteFunc(Findings(p, rs), func(f Finding) bool { return f.Metric != "p50" })
		text := claims(fs)
		if len(fs) == 1 != found || strings.Contains(text, "at least 3.0 times") != (target == "blocking") {
			t.Errorf("%s censored: %q", target, text)
		}
	}
}

func TestPrecisionIsToldBeforehandAndAfterwards(t *testing.T) {
	p := threeByTwo(t, 6)
	for blocks, want := range map[int]string{
		1:  "1 block of 6 cells cannot show an effect of every factor, however large: that takes 6 blocks",
		12: "12 blocks of 6 cells can show effects of about 12% on p50, 24% on p99, 8% on throughput or more, alike in all cells, where pairs of trials scatter as on a busy virtual machine with 2 CPUs (p50 11%, p99 21%, throughput 7%); 36 of 52 comparisons may have too few pairs to show any, however large (within one level of TCP_NODELAY, target): that takes --blocks 14",
	} {
		if got := Foresee(p, blocks); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if n := BlocksFor(p, .05); n != 18 || BlocksFor(p, .025) < 3*n {
		t.Errorf("%d blocks for 5%%", n)
	}
	rs := made(t, p, blockingAt(1))
	if text := Precision(p, rs[:6]); text != "1 block of 6 cells cannot show any effect, however large: that takes 6 blocks and more" {
		t.Error(text)
	}
	if text := Precision(p, rs); !strings.HasPrefix(text, "6 blocks of 6 cells could have shown effects of about 2% on p50 or more") || len(Findings(p, rs)) != 0 {
		t.Error(text)
	}
	if len(Findings(p, made(t, p, blockingAt(2)))) == 0 || FewestBlocks(p) != 6 {
		t.Errorf("6 blocks, of %d, do not do", FewestBlocks(p))
	}
	one, err := plan.New("x", 1, 6, 0, 1e9, nil)
	if err != nil {
		t.Fatal(err)
	}
	if text := Foresee(one, 6); text != "6 blocks of 1 cell: nothing to compare" || FewestBlocks(one) != 0 || Precision(one, nil) == "" || Findings(one, nil) != nil {
		t.Error(text)
	}
}

// Where an effect is in half of the cells alone, and those have too few pairs for it, however large it is, that is said, and
// how many blocks do: with these it is found.
func TestTooFewPairsAreNoAbsence(t *testing.T) {
	run := func(blocks int) (*plan.Plan, []Record) {
		p, err := plan.New("x", 1, blocks, 0, 1e9, []plan.Factor{{Knob: "write", Levels: []string{"single", "split"}},
			{Knob: "TCP_NODELAY", Levels: []string{"off", "on"}}, {Knob: "connections", Levels: []string{"8", "16"}}})
		if err != nil {
			t.Fatal(err)
		}
		return p, made(t, p, func(c plan.Cell) float64 {
			if c["write"] == "split" && c["TCP_NODELAY"] == "off" {
				return 250e6
			}
			return 1e6
		})
	}
	p, rs := run(6)
	const rest = "36 of 45 comparisons have too few pairs to show any, however large (within one level of TCP_NODELAY, connections, write): that takes --blocks 7"
	text := Precision(p, rs)
	if len(Findings(p, rs)) != 0 || !strings.Contains(text, " on p50 or more, alike in all cells; ") || !strings.HasSuffix(text, rest) {
		t.Errorf("%s\n%s", claims(Findings(p, rs)), text)
	}
	if text := Foresee(p, 6); !strings.HasSuffix(text, "; 48 of 60 comparisons may have too few pairs to show any, however large (within one level of TCP_NODELAY, connections, write): that takes --blocks 7") {
		t.Error(text)
	}
	if p, rs = run(7); !strings.Contains(claims(Findings(p, rs)), "With write=split, TCP_NODELAY=on answers 250 times faster than off") || strings.Contains(Precision(p, rs), "too few") {
		t.Errorf("7 blocks: %s\n%s", claims(Findings(p, rs)), Precision(p, rs))
	}
	if text := Foresee(p, 7); strings.Contains(text, "too few") {
		t.Error(text)
	}
	if p, rs = run(1); strings.Contains(Precision(p, rs), "could have shown effects") {
		t.Error(Precision(p, rs))
	}
}

// What is told of precision is how far the estimates then scatter, whether there is something to compare or not.
func TestReachIsHowFarEstimatesScatter(t *testing.T) {
	one, err := plan.New("x", 1, 400, 0, 1e9, []plan.Factor{{Knob: "target", Levels: []string{"epoll"}}})
	if err != nil {
		t.Fatal(err)
	}
	two, err := one.With(plan.Changes{Knobs: []plan.Factor{{Knob: "TCP_NODELAY", Levels: []string{"off", "on"}}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		plan *plan.Plan
		sd   float64 // of the logarithm of the mean of 400, or of a ratio of two
	}{{one, .05 / math.Sqrt(400)}, {two, .05 * math.Sqrt2 / math.Sqrt(400)}} {
		random := rand.New(rand.NewPCG(3, 3))
		rs := made(t, c.plan, func(plan.Cell) float64 { return 1e6 * math.Exp(.05*random.NormFloat64()) })
		share, ok := Reach(c.plan, rs)
		if want := 2.58 * c.sd; !ok || share < .85*want || share > 1.15*want {
			t.Errorf("%d cells: within %.4f, %v, where it is %.4f", len(c.plan.Cells()), share, ok, want)
		}
		for n := range rs[:5*len(c.plan.Cells())] {
			if share, ok := Reach(c.plan, rs[:n]); ok {
				t.Errorf("%d trials are enough for %.3f", n, share)
			}
		}
	}
}

func TestWordsAreShort(t *testing.T) {
	for v, want := range map[float64]string{0.0013512: "0.0014", 0.0961: "0.096", 0.1: "0.10", 0.985: "0.98", 1: "1.00", 9.87: "9.87", 12.3: "12", 705: "710", 99.9: "100", 12345: "12000"} {
		if got := short(v); got != want {
			t.Errorf("%v is %s, want %s", v, got, want)
		}
	}
	for word, want := range map[string]string{"a=b,c": "a=b,c", "exec: it's": `'exec: it'\''s'`} {
		if got := quote(word); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

// Where a regime is what a factor is about, its levels are compared although the regime differs.
func TestPlacementIsCompared(t *testing.T) {
	for knob, levels := range map[string][]string{"cpus": {"same", "apart"}, "keep_awake": {"on", "off"}} {
		p, err := plan.New("x", 1, 12, 0, 1e9, []plan.Factor{{Knob: knob, Levels: levels}})
		if err != nil {
			t.Fatal(err)
		}
		rs := made(t, p, func(c plan.Cell) float64 { return map[string]float64{levels[0]: 1e6, levels[1]: 3e6}[c[knob]] })
		for i := range rs {
			rs[i].Metrics.Machine.Regime = rs[i].Cell[knob]
		}
		if fs := Findings(p, rs); len(fs) == 0 || !strings.Contains(fs[0].Claim, knob+"="+levels[0]) {
			t.Errorf("%s: findings %q", knob, claims(fs))
		}
	}
}
