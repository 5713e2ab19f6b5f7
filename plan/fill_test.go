package plan

import (
	"strings"
	"testing"
)

// Knobs that stand in a command are put in, cell by cell, and then act.
func TestCommandKnobs(t *testing.T) {
	p, err := Parse("p.yaml", []byte(`
fixed: {target: "exec: ./server --workers {workers} --size {request} -r {server.SO_RCVBUF} --json '{{port}' --port {port}", server.SO_RCVBUF: 64KiB}
factors: {workers: [1, 4], request: [64, 1KiB]}
`))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]bool{}
	for _, trial := range p.Block(0, 0) {
		got[trial.Spec.Target.Target.Arg] = true
		if !strings.Contains(trial.Cell["target"], "{workers}") {
			t.Errorf("the cell says %q, which is not what the plan says", trial.Cell["target"])
		}
		if len(trial.Spec.Target.Options) > 0 {
			t.Errorf("%+v is promised of a server that is not ours", trial.Spec.Target.Options)
		}
	}
	for _, workers := range []string{"1", "4"} {
		for _, size := range []string{"64", "1024"} {
			want := "./server --workers " + workers + " --size " + size + " -r 65536 --json '{{port}' --port {port}"
			if !got[want] {
				t.Errorf("no trial runs %s; they are %v", want, got)
			}
		}
	}
}
