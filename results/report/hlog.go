package report

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	hdr "github.com/HdrHistogram/hdrhistogram-go"

	"github.com/sockbench/sockbench/plan"
	"github.com/sockbench/sockbench/results"
)

// hlog writes an HdrHistogram log: a line for each histogram of each trial that counts, tagged with its quantity and
// cell. The histograms are those of trials.jsonl, letter for letter; one that cannot be read is named in a comment.
func hlog(w io.Writer, in Input) error {
	out := bufio.NewWriter(w)
	base := in.Manifest.Started.Unix() * 1000
	log := hdr.NewHistogramLogWriter(out)
	err := errors.Join(log.OutputLogFormatVersion(),
		log.OutputComment("[sockbench "+in.Manifest.Versions["sockbench"]+", run "+plain(in.Answer.Run)+"; values in ns, maxima in ms; tags: quantity/knob=level/…]"),
		log.OutputStartTime(base), log.OutputBaseTime(base), log.OutputLegend())
	if err != nil {
		return err
	}
	counting, _ := results.Counting(in.Records)
	for _, r := range counting {
		if r.Metrics == nil {
			continue
		}
		for _, quantity := range slices.Sorted(maps.Keys(r.Histograms)) {
			start := float64(r.Started.UnixMilli()-base) / 1e3
			length := float64(r.Metrics.Duration) / 1e9
			h, err := hdr.Decode([]byte(r.Histograms[quantity]))
			if err != nil {
				fmt.Fprintf(out, "#[left out: trial %s, histogram %s: %s]\n", r.ID, quantity, plain(err.Error()))
				continue
			}
			fmt.Fprintf(out, "Tag=%s,%.3f,%.3f,%.6f,%s\n", tag(in.Manifest.Plan, quantity, r.Cell), start, length, float64(h.Max())/1e6, r.Histograms[quantity])
		}
	}
	return out.Flush()
}

// tag is response/target=epoll/TCP_NODELAY=on: without a comma, which would end it.
func tag(p *plan.Plan, quantity string, c plan.Cell) string {
	text := quantity
	for _, f := range p.Factors {
		text += "/" + f.Knob + "=" + escape(c[f.Knob], ",")
	}
	return text
}
