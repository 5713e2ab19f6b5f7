package plan

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sockbench/sockbench/targets"
	"github.com/sockbench/sockbench/unit"
)

const second = unit.Duration(time.Second)

// factors reads "knob=level,level" lists, with ";" for commas inside levels.
func factors(list ...string) (fs []Factor) {
	for _, text := range list {
		knob, levels, _ := strings.Cut(text, "=")
		f := Factor{Knob: knob}
		if levels != "" {
			f.Levels = strings.Split(levels, "|")
		}
		fs = append(fs, f)
	}
	return fs
}

func mustNew(t *testing.T, blocks int, list ...string) *Plan {
	t.Helper()
	p, err := New("test", 7, blocks, second/5, second, factors(list...))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestDefaultsAreCanonical(t *testing.T) {
	s := Default()
	for _, k := range Knobs {
		text, err := k.Fields(&s)[0].MarshalText()
		if err != nil || string(text) != k.Default {
			t.Errorf("%s: default %q, a default Spec says %q (%v)", k.Name, k.Default, text, err)
		}
		if k.Values != nil && !k.Open && !slices.Contains(k.Values(), k.Default) {
			t.Errorf("%s: default %q is not among %q", k.Name, k.Default, k.Values())
		}
		if strings.Contains(k.Name, "-") || k.Help == "" {
			t.Errorf("%s: names are snake_case and have a help", k.Name)
		}
	}
	if s.Target.Request != 64 || s.Target.Framing != s.Load.Framing || !s.Regime.KeepAwake || s.Load.Rate != 0 || s.Load.RequestTimeout != 5*second {
		t.Errorf("default Spec: %+v", s)
	}
	if len(s.Load.Options)+len(s.Target.Options) > 0 {
		t.Error("options that nobody named are set")
	}
}

func TestCanonicalLevels(t *testing.T) {
	for _, c := range []struct{ knob, level, want string }{
		{"target", " epoll ", "epoll"}, {"target", "default", "epoll"}, {"target", "addr:tcp://127.0.0.1:9", "addr: tcp://127.0.0.1:9"},
		{"rate", "20000", "20k"}, {"rate", "0", "none"}, {"rate", "none", "none"}, {"rate", "default", "none"},
		{"arrivals", "default", "poisson"}, {"arrivals", "burst:1k", "burst:1000"}, {"arrivals", "ramp:1000-20k", "ramp:1k-20k"},
		{"arrivals", " steps:1000, 2k/s,0 ", "steps:1k,2k,0"}, {"arrivals", "trace:/x#0123456789abcdef", "trace:/x#0123456789abcdef"},
		{"request", "1024", "1KiB"}, {"connections", "1k", "1000"}, {"keep_awake", "yes", "on"}, {"real_time", "0", "off"},
		{"service_time", "exp:1000us", "exp:1ms"}, {"request_timeout", "5000ms", "5s"},
		{"cpus", "client=3,1,2;server=0", "server=0;client=1-3"}, {"cpus", "default", "default"}, {"cpus", " same ", "same"}, {"cpus", "apart", "apart"},
		{"write_size", "1024", "1KiB"}, {"read_size", "default", "default"}, {"gomaxprocs", "2", "2"}, {"gomaxprocs", "default", "default"},
		{"requests_per_connection", "100", "100"}, {"requests_per_connection", "none", "none"}, {"requests_per_connection", "default", "none"}, {"cpus", "server=0-1,5,5", "server=0,1,5"},
		{"TCP_NODELAY", "1", "on"}, {"TCP_NODELAY", "default", "default"}, {"SO_RCVBUF", "65536", "64KiB"},
		{"client.SO_RCVBUF", "16384@established", "16KiB@established"}, {"client.SO_RCVBUF", "16384@socket", "16KiB"},
		{"TCP_USER_TIMEOUT", "1000ms", "1s"}, {"backlog", "128", "128"}, {"TCP_SYNCNT", "3", "3"}, {"TCP_QUICKACK", "on@each_read", "on@each_read"},
	} {
		k, err := Lookup(c.knob)
		if err != nil {
			t.Error(err)
			continue
		}
		got, err := k.Canonical(c.level)
		if err != nil || got != c.want {
			t.Errorf("%s=%s is %q, %v; want %q", c.knob, c.level, got, err, c.want)
		}
		if again, err := k.Canonical(got); err != nil || again != got {
			t.Errorf("%s=%s: canonical %q reads as %q, %v", c.knob, c.level, got, again, err)
		}
	}
}

func TestOptionsReachTheSidesTheyHave(t *testing.T) {
	for _, c := range []struct {
		knob, level    string
		client, server int
	}{
		{"TCP_NODELAY", "on", 1, 1}, {"client.TCP_NODELAY", "on", 1, 0}, {"server.TCP_NODELAY", "on", 0, 1},
		{"TCP_SYNCNT", "3", 1, 0}, {"client.TCP_SYNCNT", "3", 1, 0}, {"backlog", "16", 0, 1}, {"server.backlog", "16", 0, 1}, {"TCP_NODELAY", "default", 0, 0},
	} {
		s := mustNew(t, 1, c.knob+"="+c.level).Block(0, 0)[0].Spec
		if len(s.Load.Options) != c.client || len(s.Target.Options) != c.server {
			t.Errorf("%s=%s: client %v, server %v", c.knob, c.level, s.Load.Options, s.Target.Options)
		}
	}
}

func TestEqualCellsMakeEqualSpecs(t *testing.T) {
	a := mustNew(t, 1, "SO_RCVBUF=64KiB", "TCP_NODELAY=on", "connections=4").Block(0, 0)[0].Spec
	b := mustNew(t, 1, "connections=4", "TCP_NODELAY=yes", "SO_RCVBUF=65536").Block(0, 0)[0].Spec
	if !reflect.DeepEqual(a, b) {
		t.Errorf("the same experiment, named in another order, is\n%+v\nand\n%+v", a, b)
	}
	if !reflect.DeepEqual(Default(), Default()) || a.Load.Warmup != second/5 || a.Load.Duration != second {
		t.Errorf("warm-up and duration are %v and %v", a.Load.Warmup, a.Load.Duration)
	}
}

func TestCells(t *testing.T) {
	p := mustNew(t, 2, "connections=1|2", "write=single", "TCP_NODELAY=off|on")
	want := []string{"TCP_NODELAY=off,connections=1,write=single", "TCP_NODELAY=on,connections=1,write=single",
		"TCP_NODELAY=off,connections=2,write=single", "TCP_NODELAY=on,connections=2,write=single"}
	var got []string
	for _, c := range p.Cells() {
		got = append(got, c.String())
	}
	if !slices.Equal(got, want) {
		t.Errorf("cells\n%q\nwant\n%q", got, want)
	}
	p.Cells()[0]["connections"] = "9"
	if p.Cells()[0]["connections"] != "1" {
		t.Error("a cell that was handed out can change the plan")
	}
	if got := p.Label(p.Cells()[1]); got != "connections=1 TCP_NODELAY=on" {
		t.Errorf("label %q", got)
	}
	if got, want := p.Time(time.Second/2), 8*1700*time.Millisecond; got != want {
		t.Errorf("the plan takes %v, want %v", got, want)
	}
	if one := mustNew(t, 1, "connections=3", "write=split"); one.Label(one.Cells()[0]) != "connections=3 write=split" {
		t.Errorf("label of the only cell: %q", one.Label(one.Cells()[0]))
	}
	if none := mustNew(t, 1); len(none.Cells()) != 1 || len(none.Block(0, 0)) != 1 {
		t.Error("a plan that names nothing is one cell")
	}
}

// A model that "all" brought and that cannot do what is asked is no reason to refuse the others: its trials fail alone.
func TestAllBringsTheUnfitToo(t *testing.T) {
	for _, b := range mustNew(t, 1, "target=all", "write=split|single", "TCP_NODELAY=on|default").Block(0, 0) {
		c := b.Cell
		unfit := strings.HasPrefix(c["target"], "udp") && (c["write"] == "split" || c["TCP_NODELAY"] == "on")
		if err := b.Spec.Unfit(); (err != nil) != unfit {
			t.Errorf("%v: %v", c, err)
		}
	}
}

func TestAllBringsEveryBuiltInModel(t *testing.T) {
	p := mustNew(t, 1, "target=all|addr: tcp://127.0.0.1:9")
	var want []string
	for _, e := range targets.All {
		if !e.Foreign && !e.Teaching {
			want = append(want, e.Name)
		}
	}
	if len(want) < 2 || !slices.Equal(p.Brought, want) || !slices.Equal(p.Factors[0].Levels, append(slices.Clone(want), "addr: tcp://127.0.0.1:9")) {
		t.Errorf("levels %q, brought %q, want %q", p.Factors[0].Levels, p.Brought, want)
	}
	if p := mustNew(t, 1, "target=epoll|all"); slices.Contains(p.Brought, "epoll") || len(p.Factors[0].Levels) != len(want) {
		t.Errorf("epoll was named and is not to fail only itself: levels %q, brought %q", p.Factors[0].Levels, p.Brought)
	}
}

func TestBlocks(t *testing.T) {
	p := mustNew(t, 6, "connections=1|2|3|4", "TCP_NODELAY=off|on")
	orders := map[string]bool{}
	for block := range 6 {
		for attempt := range 2 {
			trials := p.Block(block, attempt)
			if !reflect.DeepEqual(trials, p.Block(block, attempt)) {
				t.Fatal("the same block twice is not the same")
			}
			seen, order := map[string]bool{}, ""
			for i, x := range trials {
				seen[x.ID] = true
				order += x.Cell.String() + ";"
				if x.Order != i || x.Block != block || x.Attempt != attempt || x.Seed != trials[0].Seed || x.Seed >= 1<<53 {
					t.Errorf("trial %+v at place %d of block %d, attempt %d", x, i, block, attempt)
				}
				if want := fmt.Sprint(x.Spec.Load.Connections); x.Cell["connections"] != want {
					t.Errorf("cell %s has a Spec of %s connections", x.Cell, want)
				}
			}
			if orders[order] = true; len(seen) != 8 {
				t.Errorf("block %d has %d different trials, want 8", block, len(seen))
			}
		}
	}
	if len(orders) != 12 {
		t.Errorf("12 blocks have only %d orders", len(orders))
	}
	if p.Block(0, 0)[0].Seed == p.Block(1, 0)[0].Seed || p.Block(1, 0)[0].Seed != p.Block(1, 1)[0].Seed {
		t.Error("the seed is the block's, whatever the attempt")
	}
}

// TestOrderIsUniform looks at where the first cell ends up: over many blocks, everywhere alike.
func TestOrderIsUniform(t *testing.T) {
	p := mustNew(t, 1, "connections=1|2|3|4")
	var places [4]int
	const blocks = 4000
	for n := range blocks {
		for _, x := range p.Block(n, 0) {
			if x.Cell["connections"] == "1" {
				places[x.Order]++
			}
		}
	}
	for i, n := range places { // sd is 27
		if math.Abs(float64(n)-blocks/4) > 140 {
			t.Errorf("place %d: %d of %d blocks, want about %d", i, n, blocks, blocks/4)
		}
	}
}

func TestIDsAndDigest(t *testing.T) {
	p := mustNew(t, 3, "connections=1|2")
	byCell := func(p *Plan, block, attempt int) map[string]string {
		m := map[string]string{}
		for _, x := range p.Block(block, attempt) {
			m[x.Cell.String()] = x.ID
		}
		return m
	}
	if !maps.Equal(byCell(p, 1, 0), byCell(p, 1, 1)) {
		t.Error("another attempt has another id")
	}
	if byCell(p, 0, 0)["connections=1"] == byCell(p, 1, 0)["connections=1"] {
		t.Error("two blocks share an id")
	}
	more, err := New("other name", 7, 9, second/5, second, factors("connections=1|2"))
	if err != nil || more.Digest() != p.Digest() {
		t.Errorf("name and number of blocks changed the digest (%v)", err)
	}
	for what, other := range map[string]*Plan{
		"levels": mustNew(t, 3, "connections=1|3"), "a knob": mustNew(t, 3, "connections=1|2", "reply=65"), "an option": mustNew(t, 3, "connections=1|2", "TCP_NODELAY=on"),
	} {
		if other.Digest() == p.Digest() {
			t.Errorf("%s did not change the digest", what)
		}
	}
	seeded, _ := New("test", 8, 3, second/5, second, factors("connections=1|2"))
	longer, _ := New("test", 7, 3, second/5, 2*second, factors("connections=1|2"))
	if seeded.Digest() == p.Digest() || longer.Digest() == p.Digest() {
		t.Error("seed and duration are to change the digest")
	}
}

func TestPlanSurvivesJSON(t *testing.T) {
	p := mustNew(t, 3, "target=all", "cpus=server=0;client=1", "TCP_NODELAY=on@established|default", "rate=20k")
	data, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	var q Plan
	if err := json.Unmarshal(data, &q); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(*p, q) || !reflect.DeepEqual(p.Block(2, 1), q.Block(2, 1)) {
		t.Errorf("read back as\n%+v\nwas\n%+v", q, *p)
	}
	x := p.Block(0, 0)[0]
	data, err = json.Marshal(x)
	if err != nil {
		t.Fatal(err)
	}
	var y Trial
	if err := json.Unmarshal(data, &y); err != nil || !reflect.DeepEqual(x, y) {
		t.Errorf("trial reads back as\n%+v (%v), was\n%+v", y, err, x)
	}
	if err := json.Unmarshal([]byte(`{"seed":1,"blocks":1,"duration":"1s","factors":[{"knob":"conections","levels":["1"]}]}`), &q); err == nil {
		t.Error("a plan with an unknown knob was read")
	}
}

// A workload brings what it is made of, and what is named beside it wins, wherever it stands.
func TestWorkloadDefaults(t *testing.T) {
	const workloads = "factors: {workload: [rr, stream-up, stream-down]}\nfixed: {request_timeout: 9s"
	trials := append(mustParse(t, workloads+"}\n").Block(0, 0), mustParse(t, workloads+", request: 4KiB}\n").Block(0, 0)...)
	for _, trial := range trials {
		l, want := trial.Spec.Load, int64(64)
		if trial.Spec.Target.Request != l.Request || trial.Spec.Target.Reply != l.Reply {
			t.Errorf("%v: the server is told %d and %d, the load %d and %d", trial.Cell, trial.Spec.Target.Request, trial.Spec.Target.Reply, l.Request, l.Reply)
		}
		switch {
		case trial.Cell["request"] == "4KiB":
			want = 4096
		case l.Workload == "stream-up":
			want = 1 << 20
		case l.Workload == "stream-down":
			want = 16
		}
		if int64(l.Request) != want || l.RequestTimeout != 9*second || (l.Pipeline == 64) != (l.Workload != "rr") {
			t.Errorf("%v: request %d, want %d; timeout %v, pipeline %d", trial.Cell, l.Request, want, l.RequestTimeout, l.Pipeline)
		}
	}
}

// Framing http asks with GET, which has no body, unless a size of requests is named.
func TestFramingDefaults(t *testing.T) {
	for text, want := range map[string]int64{
		"fixed: {framing: http}": 0, "fixed: {framing: http, request: 64}": 64, "fixed: {framing: resp}": 64,
		"fixed: {framing: http, workload: stream-up}": 1 << 20, "variants: {a: {framing: http}}": 0,
	} {
		s := mustParse(t, text+"\n").Block(0, 0)[0].Spec
		if int64(s.Load.Request) != want || s.Target.Request != s.Load.Request {
			t.Errorf("%s: request %d, and the server is told %d; want %d", text, s.Load.Request, s.Target.Request, want)
		}
	}
}
