package playbook

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/sockbench/sockbench/internal/quiet"
	"github.com/sockbench/sockbench/internal/term"
	"github.com/sockbench/sockbench/lab"
	"github.com/sockbench/sockbench/plan"
)

func TestMain(m *testing.M) {
	lab.Main(Parts)
	os.Exit(quiet.Run(m))
}

// Each playbook has a name of its own, a line, and either a plan that is named after it or a way to measure.
func TestAll(t *testing.T) {
	seen := map[string]bool{}
	for _, b := range All {
		if seen[b.Name] || b.Name == "" || b.Doc == "" || strings.Contains(b.Doc, "\n") {
			t.Errorf("%q: %q", b.Name, b.Doc)
		}
		seen[b.Name] = true
		if (b.Plan == "") == (b.Measure == nil) || (b.Plan == "") != (b.Judge == nil) || (b.Blocks > 0) != (b.Measure != nil) {
			t.Errorf("%s: it has neither or both", b.Name)
		}
		if b.Plan == "" {
			continue
		}
		p, err := plan.Parse(b.Name+".yaml", []byte(b.Plan))
		if err != nil || p.Name != b.Name {
			t.Errorf("%s: its plan: %v", b.Name, err)
		}
	}
	if _, err := Find("sticky-packet"); err == nil || !strings.Contains(err.Error(), "did you mean sticky-packets?") {
		t.Errorf("%v", err)
	}
}

func TestWrite(t *testing.T) {
	v := Verdict{Answer: HoldsIf, If: "the sun shines", Claim: "it is warm", Because: []string{"12 of 13 were."}, Figures: []int{13},
		Table: term.Table{Columns: []term.Column{{Name: "day"}}, Rows: [][]string{{"one"}}}}
	for _, markdown := range []bool{false, true} {
		var b bytes.Buffer
		if err := v.Write(&b, markdown, 0); err != nil {
			t.Fatal(err)
		}
		for _, s := range []string{"one", "Verdict: holds only if the sun shines", "Claim: it is warm", "12 of 13 were."} {
			if !strings.Contains(b.String(), s) {
				t.Errorf("%q does not say %q", b.String(), s)
			}
		}
	}
	text, err := json.Marshal(v)
	if want := `{"verdict":"holds only if","if":"the sun shines","claim":"it is warm","because":["12 of 13 were."],"figures":[13]}`; err != nil || string(text) != want {
		t.Errorf("%v, %s", err, text)
	}
}
