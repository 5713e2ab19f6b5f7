package report

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/sockbench/sockbench/internal/term"
	"github.com/sockbench/sockbench/plan"
	"github.com/sockbench/sockbench/results"
)

// unitSuffix makes a metric's name a unit of the Go benchmark format; benchstat reads ns as time.
var unitSuffix = map[string]string{"1/s": "/s", "ns": "-ns", "share": "-share", "B/s": "-B/s", "1": ""}

// benchfmt writes the Go benchmark format (golang.org/x/perf/benchfmt): a line for each trial that counts, with every
// metric that it supports. What is left out is named in comments.
func benchfmt(w io.Writer, in Input) error {
	out := bufio.NewWriter(w) // whose first error is Flush's
	p := in.Manifest.Plan
	fmt.Fprintf(out, "# sockbench %s, run %s\n", in.Manifest.Versions["sockbench"], plain(in.Answer.Run))
	for _, key := range []string{"arch", "cpu", "cpus", "kernel"} {
		if v := fingerprint(in.Manifest)[key]; v != "" {
			fmt.Fprintf(out, "%s: %s\n", key, plain(v))
		}
	}
	for _, m := range results.All {
		better := "higher"
		if m.Lower {
			better = "lower"
		}
		fmt.Fprintf(out, "Unit %s better=%s\n", m.Name+unitSuffix[m.Unit], better)
	}
	counting, repeated := results.Counting(in.Records)
	if len(repeated) > 0 {
		fmt.Fprintf(out, "# left out: %s of blocks that were run again\n", term.Count(len(repeated), "trial"))
	}
	for _, r := range counting {
		name := benchmarkName(p, r.Cell)
		if r.Metrics == nil {
			fmt.Fprintf(out, "# left out: %s, block %d failed: %s\n", name, r.Block, plain(r.Error))
			continue
		}
		fmt.Fprintf(out, "%s %d", name, max(r.Metrics.Completed, 1))
		var bounds []string
		for _, m := range results.All {
			v, ok := m.Get(r)
			if !ok {
				continue
			}
			fmt.Fprintf(out, " %s %s", number(v), m.Name+unitSuffix[m.Unit])
			if m.Censored != nil && m.Censored(r) {
				bounds = append(bounds, m.Name)
			}
		}
		fmt.Fprintln(out)
		if bounds != nil {
			fmt.Fprintf(out, "# of %s, block %d, these are lower bounds: %s\n", name, r.Block, strings.Join(bounds, " "))
		}
	}
	return out.Flush()
}

// benchmarkName is BenchmarkNagle/target=epoll/TCP_NODELAY=on, of a plan named nagle: each knob is one that benchstat
// can make rows or columns of (-col /TCP_NODELAY).
func benchmarkName(p *plan.Plan, c plan.Cell) string {
	first, size := utf8.DecodeRuneInString(p.Name)
	name := "Benchmark" + escape(string(unicode.ToUpper(first))+p.Name[size:], "/")
	for _, f := range p.Factors {
		name += "/" + f.Knob + "=" + escape(c[f.Knob], "/")
	}
	// A number behind a hyphen at the end would be taken for GOMAXPROCS.
	if i := strings.LastIndexByte(name, '-'); i >= 0 && i < len(name)-1 && strings.Trim(name[i+1:], "0123456789") == "" {
		name = name[:i] + "%2D" + name[i+1:]
	}
	return name
}

// escape writes white space, control characters, "%" and what else is named as URLs do.
func escape(s, also string) string {
	var out strings.Builder
	for _, r := range s {
		if r == '%' || strings.ContainsRune(also, r) || !unicode.IsGraphic(r) || unicode.IsSpace(r) {
			for _, b := range []byte(string(r)) {
				fmt.Fprintf(&out, "%%%02X", b)
			}
			continue
		}
		out.WriteRune(r)
	}
	return out.String()
}

// plain keeps text on one line.
func plain(s string) string { return strings.Join(strings.Fields(s), " ") }

// fingerprint is the machine's; nil where the manifest holds none that this build knows.
func fingerprint(m results.Manifest) (f map[string]string) {
	if err := json.Unmarshal(m.Machine, &f); err != nil {
		return nil
	}
	return f
}
