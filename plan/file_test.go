package plan

import (
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sockbench/sockbench/internal/planfile"
	"github.com/sockbench/sockbench/unit"
)

func mustParse(t *testing.T, src string) *Plan {
	t.Helper()
	p, err := Parse("dir/some.yaml", []byte(src))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func cells(p *Plan) (all []string) {
	for _, c := range p.Cells() {
		all = append(all, c.String())
	}
	return all
}

func TestParseIsNew(t *testing.T) {
	p := mustParse(t, "fixed: {write: split}\nfactors:\n  TCP_NODELAY: [off, on]\n  connections: [1, 2]\nduration: 1s\nwarmup: 200ms\nseed: 7\nblocks: 6\nname: test\n")
	want := mustNew(t, 6, "write=split", "TCP_NODELAY=off|on", "connections=1|2")
	if !reflect.DeepEqual(p, want) || p.Digest() != want.Digest() {
		t.Errorf("the file makes\n%+v\nflags make\n%+v", p, want)
	}
	p = mustParse(t, "fixed: {write: split}")
	if p.Name != "some" || p.Seed != DefaultSeed || p.Blocks != DefaultBlocks || p.Warmup != DefaultWarmup || p.Duration != DefaultDuration {
		t.Errorf("a plan that says nothing is %+v", p)
	}
	if all := mustParse(t, "factors: {target: [all]}"); len(all.Brought) < 5 || !slices.Equal(all.Brought, all.Factors[0].Levels) {
		t.Errorf("all brings %q, levels %q", all.Brought, all.Factors[0].Levels)
	}
}

func TestScalarsAreTakenAsWritten(t *testing.T) {
	p := mustParse(t, `name: 1.10
fixed:
  client.TCP_NODELAY: on
  client.SO_KEEPALIVE: 'off'
  client.TCP_CONGESTION: 0x10
  cpus: {server: 0-1, client: "2"}
  real_time: false
  keep_awake: 1
  client.TCP_USER_TIMEOUT: 1.50s
  target: 'exec: ./server --port {port} --on=off, twice'
`)
	want := Cell{"client.TCP_NODELAY": "on", "client.SO_KEEPALIVE": "off", "client.TCP_CONGESTION": "0x10", "cpus": "server=0,1;client=2", "real_time": "off", "keep_awake": "on", "client.TCP_USER_TIMEOUT": "1.5s",
		"target": "exec: ./server --port {port} --on=off, twice"}
	if got := p.Cells()[0]; p.Name != "1.10" || got.String() != want.String() {
		t.Errorf("%s: %s, want %s", p.Name, got, want)
	}
}

func TestAliasesStandForWhatTheyName(t *testing.T) {
	p := mustParse(t, "fixed: {request: &n 128, reply: *n}\nvariants:\n  old: &o {backlog: 1}\n  new: *o\n")
	if got, want := p.Cells()[0].String(), "reply=128,request=128,variant=old"; got != want || len(p.Variants) != 2 || p.Variants[1].Knobs["backlog"] != "1" {
		t.Errorf("cell %s, want %s; variants %v", got, want, p.Variants)
	}
}

func TestVariantsAreAFactorWhoseKnobsAct(t *testing.T) {
	p := mustParse(t, "factors: {connections: [1, 2]}\nvariants:\n  old: {backlog: 16, request: 32}\n  new: {server.TCP_USER_TIMEOUT: 5s}\n")
	want := []string{"connections=1,variant=old", "connections=1,variant=new", "connections=2,variant=old", "connections=2,variant=new"}
	if !slices.Equal(cells(p), want) {
		t.Errorf("cells %q, want %q", cells(p), want)
	}
	for _, x := range p.Block(0, 0) {
		old := x.Cell[variant] == "old"
		if o := x.Spec.Target.Options; len(o) != 1 || (o[0].Option == "backlog") != old || (x.Spec.Load.Request == 32) != old || len(x.Spec.Load.Options) > 0 {
			t.Errorf("cell %s: request %s, server %v, client %v", x.Cell, x.Spec.Load.Request, o, x.Spec.Load.Options)
		}
	}
	if got := p.Label(p.Cells()[1]); got != "connections=1 variant=new" {
		t.Errorf("label %q", got)
	}
	other := mustParse(t, "factors: {connections: [1, 2]}\nvariants:\n  old: {backlog: 17, request: 32}\n  new: {server.TCP_USER_TIMEOUT: 5s}\n")
	if other.Digest() == p.Digest() || other.Block(0, 0)[0].ID == p.Block(0, 0)[0].ID {
		t.Error("what is in a variant is to change the digest and the ids")
	}
}

func TestExcluded(t *testing.T) {
	p := mustParse(t, "factors: {target: [blocking, epoll, thread], connections: [1, 8, 64]}\nexclude:\n  - {target: blocking, connections: 8}\n  - {connections: 64.0}\n")
	want := []string{"connections=1,target=blocking", "connections=1,target=epoll", "connections=8,target=epoll", "connections=1,target=thread", "connections=8,target=thread"}
	if !slices.Equal(cells(p), want) || p.Time(0) != 5*6*1200*time.Millisecond {
		t.Errorf("cells %q, want %q; %v", cells(p), want, p.Time(0))
	}
	for n := range 6 {
		if len(p.Block(n, 0)) != 5 {
			t.Fatalf("block %d has %d trials, want 5", n, len(p.Block(n, 0)))
		}
	}
	// A cell that cannot be run may be left out, and is then no error.
	mustParse(t, "factors: {target: [pool, 'addr: tcp://h:1'], backlog: [default, 16]}\nexclude: [{target: 'addr:tcp://h:1', backlog: 16}]")
}

func TestGatesAndLimits(t *testing.T) {
	p := mustParse(t, "gate: [{metric: p99, worse: 20%}]\nlimits:\n  - {metric: p99, limit: 2000us}\n  - {metric: errors, limit: 0.01}\n  - {metric: goodput, limit: 1MiB/s}\n  - {metric: throughput, limit: 20000}\n")
	want := []struct {
		Limit
		value float64
	}{{Limit{"p99", "2ms"}, 2e6}, {Limit{"errors", "1%"}, 0.01}, {Limit{"goodput", "1MiB"}, 1 << 20}, {Limit{"throughput", "20k"}, 20000}}
	for i, w := range want {
		if l := p.Limits[i]; l != w.Limit || l.Value() != w.value {
			t.Errorf("limit %+v is %v, want %+v", l, l.Value(), w)
		}
	}
	if !slices.Equal(p.Gate, []Gate{{"p99", 0.2}}) {
		t.Errorf("gate %v", p.Gate)
	}
	if plain := mustParse(t, "{}"); plain.Digest() != p.Digest() {
		t.Error("gates and limits judge trials, they do not define them: the digest changed")
	}
}

const everything = `
name: all of it
blocks: 2
fixed: {framing: length, write: split}
factors:
  target: [all]
  TCP_NODELAY: [off, on]
exclude: [{target: blocking, variant: old}]
variants: {old: {backlog: 16}, new: {backlog: 1024}}
gate: [{metric: throughput, worse: 5%}]
limits: [{metric: p99, limit: 2ms}]
`

func TestParsedPlanSurvivesJSON(t *testing.T) {
	p := mustParse(t, everything)
	data, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	var q Plan
	if err := json.Unmarshal(data, &q); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(*p, q) || !reflect.DeepEqual(p.Block(1, 1), q.Block(1, 1)) {
		t.Errorf("read back as\n%+v\nwas\n%+v", q, *p)
	}
}

func TestChanges(t *testing.T) {
	p := mustParse(t, everything)
	before, _ := json.Marshal(p)
	if same, err := p.With(Changes{}); err != nil || !reflect.DeepEqual(same, p) {
		t.Errorf("no change makes\n%+v (%v) of\n%+v", same, err, p)
	}
	name, seed, blocks, length, none := "mine", uint64(9), 3, unit.Duration(time.Minute), unit.Duration(0)
	q, err := p.With(Changes{Name: &name, Seed: &seed, Blocks: &blocks, Duration: &length, Warmup: &none,
		Knobs: factors("target=epoll|thread", "connections=4")})
	if err != nil {
		t.Fatal(err)
	}
	want := []Factor{{"framing", []Level{"length"}}, {"write", []Level{"split"}}, {"target", []Level{"epoll", "thread"}},
		{"TCP_NODELAY", []Level{"off", "on"}}, {"connections", []Level{"4"}}, {variant, []Level{"old", "new"}}}
	if !reflect.DeepEqual(q.Factors, want) || q.Name != name || q.Seed != seed || q.Blocks != blocks || q.Duration != length || q.Warmup != 0 {
		t.Errorf("changed plan %+v", q)
	}
	if len(q.Brought) > 0 || len(q.Exclude) > 0 || len(q.Cells()) != 8 {
		t.Errorf("brought %q, exclude %v, %d cells", q.Brought, q.Exclude, len(q.Cells()))
	}
	r, err := p.With(Changes{Variants: []Variant{{"only", Cell{"backlog": "1"}}}, Exclude: []Cell{{"target": "epoll"}, {"TCP_NODELAY": "1", "target": "thread"}}})
	if err != nil || len(r.Cells()) != 2*(len(p.Brought)-1)-1 || len(r.Brought) != len(p.Brought) || len(r.Exclude) != 2 {
		t.Errorf("another variant, fewer cells: %q, %v (%v)", cells(r), r.Exclude, err)
	}
	for says, c := range map[string]Changes{
		"did you mean connections":     {Knobs: factors("conections=4")},
		"named twice":                  {Knobs: factors("request=64", "request=65")},
		"named outside the variants":   {Knobs: factors("backlog=1")},
		"TCP_NODELAY is named too":     {Knobs: factors("client.TCP_NODELAY=on")},
		"matches nothing":              {Exclude: []Cell{{"connections": "4"}}},
		"no cell is left":              {Exclude: []Cell{{"write": "split"}}},
		"blocks=0":                     {Blocks: new(int)},
		"variants are named bundles":   {Knobs: factors("variant=old")},
		"acts in an open loop only":    {Knobs: factors("pace=cheap")},
		`variant "a,b": a name`:        {Variants: []Variant{{"a,b", nil}}},
		"variant a: it is named twice": {Variants: []Variant{{"a", nil}, {"a", nil}}},
	} {
		if q, err := p.With(c); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%+v: plan %v, error %v; want one that says %q", c, q, err, says)
		}
	}
	if after, _ := json.Marshal(p); string(after) != string(before) {
		t.Errorf("changing a plan made it\n%s\nof\n%s", after, before)
	}
}

// TestHostilePlans holds the whole way to an answer, schema and knobs included: one answer, bounded, and no hang. The
// minute is no claim of speed: all of it takes seconds.
func TestHostilePlans(t *testing.T) {
	many := make([]string, 90_000)
	for i := range many {
		many[i] = "x"
	}
	for name, src := range map[string]string{
		"wrong levels":    "factors:\n  connections:\n  - " + strings.Join(many, "\n  - "),
		"unknown keys":    "fixed:\n" + strings.Join(numbered("  knob%d: 1\n", 10_000), ""),
		"cells":           "factors:\n  request: [" + strings.Join(numbered("%d, ", 316), "") + "]\n  reply: [" + strings.Join(numbered("%d, ", 316), "") + "]",
		"exclusions":      "factors: {request: [64, 65]}\nexclude:\n" + strings.Join(numbered("- {request: %d}\n", 10_000), ""),
		"variants":        "variants:\n" + strings.Join(numbered("  v%d: {backlog: x}\n", 10_000), ""),
		"a huge exponent": "seed: 1e999999999\nblocks: 1e999999999\nfixed: {request: 1e999999999, rate: 1e308}",
	} {
		began := time.Now()
		_, err := Parse("plan.yaml", []byte(src))
		var all *planfile.Error
		if took := time.Since(began); !errors.As(err, &all) || took > time.Minute || len(err.Error()) > 100_000 {
			t.Errorf("%s: after %v, %.300v", name, took, err)
		}
	}
}

func numbered(format string, n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = strings.ReplaceAll(format, "%d", strconv.Itoa(i+1))
	}
	return all
}
