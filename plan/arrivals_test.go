package plan

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// A law with its argument is one level, commas and all, in a plan file, in flags, in JSON and in a knob list.
func TestArrivalsSurvive(t *testing.T) {
	p := mustParse(t, "name: test\nseed: 7\nduration: 1s\nblocks: 2\nfactors:\n  arrivals: [ramp:1000-20k, 'steps:1000,5k, 2k']\n")
	want := mustNew(t, 2, "arrivals=ramp:1k-20k|steps:1k,5k,2k")
	if !reflect.DeepEqual(p, want) || p.Digest() != want.Digest() {
		t.Errorf("the file makes\n%+v\nflags make\n%+v", p, want)
	}
	data, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	var q Plan
	if err := json.Unmarshal(data, &q); err != nil || !reflect.DeepEqual(*p, q) {
		t.Errorf("read back as\n%+v (%v)\nwas\n%+v", q, err, *p)
	}
	trial := p.Block(0, 0)[0]
	if data, err = json.Marshal(trial); err != nil {
		t.Fatal(err)
	}
	var again Trial
	if err := json.Unmarshal(data, &again); err != nil || !reflect.DeepEqual(trial, again) {
		t.Errorf("trial reads back as\n%+v (%v), was\n%+v", again, err, trial)
	}
	for _, c := range p.Cells() {
		if read, err := ParseKnobList(c.String() + ",dispatch=idle"); err != nil || read["arrivals"] != c["arrivals"] || len(read) != 2 {
			t.Errorf("%s reads as %v, %v", c, read, err)
		}
	}
}

// What a trace holds is a part of the experiment. A plan that was made is read without the file.
func TestTraceIsPartOfThePlan(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a,b.trace")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("0\n1\n")
	p := mustNew(t, 1, "arrivals=trace:"+file+"|ramp:1k-2k")
	src := "name: test\nseed: 7\nblocks: 1\nduration: 1s\nfactors: {arrivals: ['trace:" + file + "', ramp:1k-2k]}\n"
	if q := mustParse(t, src); q.Digest() != p.Digest() {
		t.Error("the same file makes another plan")
	}
	if q := mustParse(t, src+"exclude: [{arrivals: 'trace:"+file+"'}]"); len(q.Cells()) != 1 {
		t.Errorf("cells %v", q.Cells())
	}
	write("0\n2\n")
	if q := mustParse(t, src); q.Digest() == p.Digest() {
		t.Error("another content makes the same plan")
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	var q Plan
	if err := json.Unmarshal(data, &q); err != nil || q.Digest() != p.Digest() {
		t.Errorf("without the file: %v", err)
	}
	_, err = Parse("plan.yaml", []byte(src))
	if err == nil || !strings.Contains(err.Error(), "plan.yaml:5:22: ") || !strings.Contains(err.Error(), file) {
		t.Errorf("error %v", err)
	}
}
