package report

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sockbench/sockbench/internal/term"
	"github.com/sockbench/sockbench/plan"
	"github.com/sockbench/sockbench/results"
)

// aRun has two cells: one with doubts and a censored tail, one that never came to anything.
func aRun(t *testing.T) (*plan.Plan, []results.Record, results.Answer) {
	t.Helper()
	p := newPlan(t, 2)
	var rs []results.Record
	for n := range 2 {
		for _, x := range p.Block(n, 0) {
			if x.Cell["TCP_NODELAY"] == "off" {
				rs = append(rs, failed(x, "target epoll: too many open files"))
				continue
			}
			r := fine(x)
			r.Metrics.Response.Censored = ptr(140_000)
			r.Metrics.Machine.Steal = int64(n) * 5e8
			r.Metrics.Validity = results.Judge(&r)
			rs = append(rs, r)
		}
	}
	sums, err := results.Summarize(p.Cells(), rs)
	if err != nil {
		t.Fatal(err)
	}
	return p, rs, results.Answer{Verdict: "done", Cells: sums, Run: "runs/x"}
}

// manifest is that of a run of the plan.
func manifest(p *plan.Plan) results.Manifest {
	return results.Manifest{Plan: p, Seed: p.Seed, Started: time.Unix(1_700_000_000, 0), Versions: map[string]string{"sockbench": "devel"},
		Machine: json.RawMessage(`{"cpu": "Model 1", "arch": "amd64"}`)}
}

func written(t *testing.T, format string, width int) string {
	t.Helper()
	p, rs, a := aRun(t)
	return write(t, format, Input{Manifest: manifest(p), Records: rs, Answer: a, Screen: term.Screen{Width: width}})
}

func write(t *testing.T, format string, in Input) string {
	t.Helper()
	f, ok := Find(format)
	if !ok {
		t.Fatalf("no format %s", format)
	}
	var b bytes.Buffer
	if err := f.Write(&b, in); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestRunTable(t *testing.T) {
	got := strings.Split(written(t, "table", 0), "\n")
	want := []string{
		"target TCP_NODELAY req/s p50 p90 p99 p99.9 srv cpu cli cpu errors spread notes", "",
		"epoll off – – – – – – – – – a",
		"epoll on 20.0k 124us ≥144us ≥149us ≥149us 20.0us 15.0us 0% ▒▒▒▒▒▒▒▒█▒▒▒▒▒▒> b",
		"spread: response times from 100us to 149us, one logarithmic scale for all rows: █ p50, ▒ from the least to p90, ░ to p99, · to p99.9, > or longer", "",
		"Notes", "a fail failed: target epoll: too many open files (TCP_NODELAY=off: 2 of 2 trials)",
		"b warn steal: 50.0% of a CPU (TCP_NODELAY=on: 1 of 2 trials)", "",
	}
	if len(got) != len(want) {
		t.Fatalf("%d lines, want %d:\n%s", len(got), len(want), strings.Join(got, "\n"))
	}
	for i, line := range got {
		if words := strings.Join(strings.Fields(line), " "); i != 1 && words != want[i] {
			t.Errorf("line %d is\n%q, want\n%q", i, words, want[i])
		}
	}
}

func TestRunTableFitsATerminal(t *testing.T) {
	text := written(t, "table", 80)
	for _, line := range strings.Split(text, "\n") {
		if term.Width(line) > 80 {
			t.Errorf("%d columns: %q", term.Width(line), line)
		}
	}
	for _, want := range []string{"TCP_NODELAY", "20.0k", "≥149us", "notes", "no room for: ", "cli cpu"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing:\n%s", want, text)
		}
	}
}

// The default plan's table shows in 80 columns what models are ranked by.
func TestRunTableGroupsByTarget(t *testing.T) {
	p, rs := recorded(t)
	sums, err := results.Summarize(p.Cells(), rs)
	if err != nil {
		t.Fatal(err)
	}
	for i := range sums { // the recording has no histograms to merge
		of := slices.IndexFunc(rs, func(r results.Record) bool { return r.Cell.String() == sums[i].Cell.String() })
		sums[i].Merged.Metrics.Response = rs[of].Metrics.Response
	}
	text := write(t, "table", Input{Manifest: manifest(p), Records: rs, Answer: results.Answer{Cells: sums, Findings: results.Findings(p, rs)}, Screen: term.Screen{Width: 80}})
	lines := strings.Split(text, "\n")
	for _, want := range []string{"target", "write", "TCP_NODELAY", "req/s", "p50", "p99", "srv cpu", "conns", "notes"} {
		if !strings.Contains(lines[0], want) {
			t.Errorf("no column %s:\n%s", want, text)
		}
	}
	for name, times := range map[string]int{"\n blocking ": 1, "\n epoll ": 1} {
		if n := strings.Count(text, name); n != times {
			t.Errorf("%q is there %d times, want %d:\n%s", name, n, times, text)
		}
	}
	for _, line := range lines {
		if term.Width(line) > 80 {
			t.Errorf("%d columns: %q", term.Width(line), line)
		}
	}
	if text := write(t, "table", Input{Manifest: manifest(p), Records: rs, Answer: results.Answer{Cells: sums}, Screen: term.Screen{Width: 120}}); strings.Count(text, " 1/8 ") != 4 || strings.Count(text, " 8/8 ") != len(sums)-4 {
		t.Errorf("how many were served:\n%s", text)
	}
}

func TestTargetIsGroupedWhereverItIsNamed(t *testing.T) {
	p, err := plan.New("x", 1, 1, 0, 1, []plan.Factor{{Knob: "write", Levels: []string{"single", "split"}}, {Knob: "target", Levels: []string{"epoll", "blocking"}}})
	if err != nil {
		t.Fatal(err)
	}
	var cells []results.CellSummary
	for _, c := range p.Cells() {
		cells = append(cells, results.CellSummary{Cell: c})
	}
	table, _ := table(p, cells, term.Screen{})
	var got []string
	for _, row := range blankRepeats(p, table).Rows {
		got = append(got, row[0]+"/"+row[1])
	}
	if want := "epoll/single /split blocking/single /split"; strings.Join(got, " ") != want || slices.ContainsFunc(table.Columns, func(c term.Column) bool { return c.Name == "conns" }) {
		t.Errorf("rows %q, want %q; columns %v", got, want, table.Columns)
	}
}

func TestFindingsAreShown(t *testing.T) {
	p, rs, a := aRun(t)
	for format, want := range map[string][2]string{"table": {"Findings\nNone: too few.\n", "first\n1  One.\n2  Two.\n"}, "md": {"Findings**\n\nNone: too few.\n", "first**\n\n1. One.\n2. Two.\n"}, "json": {`"findings": []`, `"claim": "One."`}} {
		for i, findings := range [][]results.Finding{nil, {{Claim: "One."}, {Claim: "Two."}}} {
			a.Findings, a.Nothing = findings, "too few"
			if text := write(t, format, Input{Manifest: manifest(p), Records: rs, Answer: a}); !strings.Contains(text, want[i]) {
				t.Errorf("no %q in\n%s", want[i], text)
			}
		}
	}
}

func TestRunJSON(t *testing.T) {
	var got struct {
		Verdict, Run string
		Findings     []any
		Cells        []struct {
			Cell           map[string]string
			Trials, Failed int
			Error          string
			Metrics        map[string]*float64
			At_least       []string
			Doubts         []struct {
				Code, Verdict, Evidence string
				Trials                  int
			}
		}
	}
	if err := json.Unmarshal([]byte(written(t, "json", 0)), &got); err != nil {
		t.Fatal(err)
	}
	if got.Verdict != "done" || got.Run != "runs/x" || got.Findings == nil || len(got.Findings) != 0 || len(got.Cells) != 2 {
		t.Fatalf("answer %+v", got)
	}
	off, on := got.Cells[0], got.Cells[1]
	if off.Cell["TCP_NODELAY"] != "off" || off.Failed != 2 || off.Error == "" || off.Metrics != nil || off.Doubts == nil {
		t.Errorf("the cell that failed: %+v", off)
	}
	if v := on.Metrics["throughput"]; v == nil || *v != 20_000 || len(on.Metrics) != len(results.All) {
		t.Errorf("metrics %v", on.Metrics)
	}
	if v, ok := on.Metrics["connect_p99"]; v != nil || !ok {
		t.Error("an unsupported metric is null, not absent")
	}
	if strings.Join(on.At_least, " ") != "p90 p99 p999 max mean" {
		t.Errorf("lower bounds: %v", on.At_least)
	}
	if len(on.Doubts) != 1 || on.Doubts[0].Code != "steal" || on.Doubts[0].Trials != 1 {
		t.Errorf("doubts %+v", on.Doubts)
	}
}

func TestRunCSV(t *testing.T) {
	rows, err := csv.NewReader(strings.NewReader(written(t, "csv", 0))).ReadAll()
	if err != nil || len(rows) != 5 {
		t.Fatalf("%d rows, %v; want a head and 4 trials", len(rows), err)
	}
	at := map[string]int{}
	for i, name := range rows[0] {
		at[name] = i
	}
	errors, steal := 0, 0
	for _, row := range rows[1:] {
		if row[at["TCP_NODELAY"]] == "off" {
			if row[at["error"]] != "target epoll: too many open files" || row[at["p99"]] != "" {
				t.Errorf("failed trial: %q", row)
			}
			errors++
			continue
		}
		if row[at["throughput"]] != "20000" || row[at["server_cpu_per_request"]] != "20000" || row[at["at_least"]] != "p90 p99 p999 max mean" || row[at["connect_p99"]] != "" {
			t.Errorf("trial: %q", row)
		}
		if row[at["doubts"]] == "steal" {
			steal++
		}
	}
	if errors != 2 || steal != 1 {
		t.Errorf("%d failed trials, %d with steal", errors, steal)
	}
}

func TestLegendNamesWhyEachTargetFailed(t *testing.T) {
	p := newPlan(t, 1)
	sum := func(target plan.Level, why string) results.CellSummary {
		return results.CellSummary{Cell: plan.Cell{"target": target}, Trials: 2, Failed: 2, Error: why}
	}
	rows, doubts := table(p, []results.CellSummary{sum("select", "no room"), sum("fork", "no memory"), sum("fork", "still none")}, term.Screen{})
	legend := doubts.lines()
	var letters []string
	for _, row := range rows.Rows {
		letters = append(letters, row[len(row)-1])
	}
	if want := []string{"a", "b", "b"}; !slices.Equal(letters, want) {
		t.Errorf("letters %q, want %q", letters, want)
	}
	if len(legend) != 2 || !strings.Contains(legend[0], "no room") || !strings.Contains(legend[1], "no memory") || !strings.Contains(legend[1], "1 more cell") {
		t.Errorf("legend %q", legend)
	}
}

func TestLegendNamesTheWorstCell(t *testing.T) {
	p := newPlan(t, 1)
	sum := func(i int, v results.Verdict, evidence string) results.CellSummary {
		return results.CellSummary{Cell: p.Cells()[i], Trials: 6, Doubts: []results.CellDoubt{{Doubt: results.Doubt{Code: "hiccups", Verdict: v, Evidence: evidence}, Trials: 3}}}
	}
	_, doubts := table(p, []results.CellSummary{sum(0, results.Note, "few"), sum(1, results.Warn, "many"), sum(0, results.Note, "few")}, term.Screen{})
	legend := doubts.lines()
	if want := "a  warn  hiccups: many (TCP_NODELAY=on: 3 of 6 trials; and in 2 more cells)"; len(legend) != 1 || legend[0] != want {
		t.Errorf("legend %q, want %q", legend, want)
	}
	for i, want := range map[int]string{0: "a", 25: "z", 26: "aa", 27: "ab", 52: "ba"} {
		if got := letter(i); got != want {
			t.Errorf("letter %d is %s, want %s", i, got, want)
		}
	}
}
