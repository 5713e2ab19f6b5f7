package plan

import (
	"encoding"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/sockbench/sockbench/internal/near"
	"github.com/sockbench/sockbench/unit"
)

// Metric is a name that a gate or a limit can have, and the unit of its values: "1/s", "ns", "share", "B/s" or "1".
type Metric struct{ Name, Unit string }

// Metrics are those of results.All. The names stand here too because a plan is checked before there are results.
var Metrics = []Metric{
	{"throughput", "1/s"},
	{"p50", "ns"}, {"p90", "ns"}, {"p99", "ns"}, {"p999", "ns"}, {"max", "ns"}, {"mean", "ns"},
	{"service_p50", "ns"}, {"service_p99", "ns"}, {"connect_p99", "ns"},
	{"server_queue_mean", "ns"}, {"server_service_mean", "ns"}, {"messages_per_read", "1"}, {"reads_per_message", "1"},
	{"client_cpu_per_request", "ns"}, {"server_cpu_per_request", "ns"},
	{"errors", "share"},
	{"time_to_detect", "ns"}, {"false_alarms", "1"}, {"replies_lost", "share"},
	{"goodput", "B/s"},
}

// Gate is how much worse a metric may become before a comparison fails.
type Gate struct {
	Metric string     `json:"metric"`
	Worse  unit.Share `json:"worse"`
}

// Limit is what a metric must keep to. Limit is canonical text of the metric's kind: 2ms, 20k, 1%, 16MiB.
type Limit struct {
	Metric string `json:"metric"`
	Limit  Level  `json:"limit"`
}

// Value is the limit in the metric's unit.
func (l Limit) Value() float64 {
	m, err := findMetric(l.Metric)
	if err != nil {
		return 0
	}
	v, _, _ := m.read(l.Limit)
	return v
}

func findMetric(name string) (Metric, error) {
	var names []string
	for _, m := range Metrics {
		if m.Name == name {
			return m, nil
		}
		names = append(names, m.Name)
	}
	return Metric{}, fmt.Errorf("metric %s: choose one of %s%s", name, strings.Join(names, ", "), near.Suggest(name, names))
}

// read is a value of the metric, and its canonical text.
func (m Metric) read(text string) (v float64, canonical string, err error) {
	var (
		rate  unit.Rate
		time  unit.Duration
		share unit.Share
		size  unit.Bytes
	)
	into := map[string]interface {
		encoding.TextUnmarshaler
		fmt.Stringer
	}{"1/s": &rate, "1": &rate, "ns": &time, "share": &share, "B/s": &size}[m.Unit]
	if m.Unit == "B/s" {
		text = strings.TrimSuffix(text, "/s")
	}
	if err := into.UnmarshalText([]byte(text)); err != nil {
		return 0, "", err
	}
	return float64(rate) + float64(time) + float64(share) + float64(size), into.String(), nil // all but one are 0
}

// metrics adds gates and limits.
func (b *builder) metrics(gates []Gate, limits []Limit) {
	var seen []string
	for i, g := range gates {
		if _, ok := b.metric("gate", i, g.Metric, seen); ok {
			seen = append(seen, g.Metric)
		}
	}
	seen = nil
	for i, l := range limits {
		m, ok := b.metric("limits", i, l.Metric, seen)
		if !ok {
			continue
		}
		_, text, err := m.read(l.Limit)
		if err != nil {
			b.fail(false, fmt.Errorf("limit of %s: %w", l.Metric, err), "limits", strconv.Itoa(i), "limit")
		}
		seen = append(seen, l.Metric)
		b.Limits = append(b.Limits, Limit{l.Metric, text})
	}
}

// metric finds the metric of the i-th gate or limit, which none before it may name.
func (b *builder) metric(section string, i int, name string, before []string) (Metric, bool) {
	m, err := findMetric(name)
	if err == nil && slices.Contains(before, name) {
		err = fmt.Errorf("metric %s: it is named twice: keep one", name)
	}
	if err != nil {
		b.fail(false, err, section, strconv.Itoa(i), "metric")
	}
	return m, err == nil
}
