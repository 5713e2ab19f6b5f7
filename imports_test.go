package sockbench

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// rooms is the import graph: each package, and which others of this module it may import. Leaves under internal/ are
// open to all of them, and import none of them but unit. A package that is not listed is an error too.
var rooms = map[string]string{
	"unit":          "",
	"sockopt":       "unit",
	"wire":          "",
	"results/stats": "",
	"targets":       "unit sockopt wire results/stats",
	"loadgen":       "unit sockopt wire results/stats",
	"netpath":       "unit results/stats",
	"plan":          "unit sockopt wire netpath targets loadgen",
	"results":       "unit sockopt wire results/stats netpath targets loadgen plan",
	"lab":           "unit results/stats netpath targets loadgen plan results",
	"tuner":         "unit plan results results/stats",
	"playbook":      "targets plan results results/stats tuner",
	"verify":        "unit loadgen plan results lab",
	"doctor":        "unit loadgen netpath plan results results/stats lab",
	"cmd/sockbench": "unit sockopt wire results/stats targets loadgen plan results results/explain results/report results/compare lab tuner playbook verify doctor",

	"results/explain":     "unit sockopt wire results/stats netpath targets loadgen plan results",
	"results/compare":     "results/stats plan results results/explain",
	"results/resultstest": "unit sockopt results/stats loadgen plan results",
	"results/report":      "unit sockopt wire results/stats netpath targets loadgen plan results results/explain",
	"targets/targettest":  "unit sockopt wire targets",

	"results/stats/statstest": "results/stats",
	"tuner/tunertest":         "unit loadgen plan results results/stats/statstest tuner",
}

const module = "github.com/sockbench/sockbench"

func TestImports(t *testing.T) {
	out, err := exec.Command("go", "list", "-f", `{{.ImportPath}} {{join .Imports " "}}`, "./...").Output()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for line := range strings.Lines(string(out)) {
		words := strings.Fields(line)
		pkg, imports := strings.TrimPrefix(strings.TrimPrefix(words[0], module), "/"), words[1:]
		if pkg == "" {
			continue
		}
		leaf := strings.HasPrefix(pkg, "internal/")
		list, known := rooms[pkg]
		if leaf {
			list, known = "unit", true
		}
		if seen[pkg] = true; !known {
			t.Errorf("%s is in no room: add it to the table here and to ARCHITECTURE.md", pkg)
		}
		for _, imp := range imports {
			other, ours := strings.CutPrefix(imp, module+"/")
			if ours && !strings.HasPrefix(other, "internal/") && !slices.Contains(strings.Fields(list), other) {
				t.Errorf("%s imports %s, which is not above it", pkg, other)
			}
		}
	}
	for pkg := range rooms {
		if !seen[pkg] {
			t.Errorf("the table has %s, the tree has not", pkg)
		}
	}
}
