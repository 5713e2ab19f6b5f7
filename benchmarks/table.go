package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// figure is what was measured for a claim.
type figure struct {
	got     estimate
	note    string
	spoilt  string // why this is no measurement; "": it is one
	how     []string
	foreign float64 // CPUs that other programs used meanwhile
}

// row is one line of the table.
type row struct {
	code string
	claim
	figure
}

func (r row) met() string {
	switch {
	case r.spoilt != "":
		return "not measured: " + r.spoilt
	case r.limit.sign == "":
		return "reported"
	case r.limit.allows(r.got.value):
		return "met"
	}
	return "**not met**"
}

// cells are what the table says of a row, but for its code and subject.
func (r row) cells() []string {
	limit, got, interval, foreign := "none", "–", "–", "–"
	if r.limit.sign != "" {
		limit = r.limit.sign + " " + r.format(r.limit.value)
	}
	if r.got.n > 0 {
		got = "**" + r.format(r.got.value) + "**"
		if !math.IsInf(r.got.low, 0) && !math.IsInf(r.got.high, 0) { // else n allows none
			interval = r.format(r.got.low) + " – " + r.format(r.got.high)
		}
		foreign = fmt.Sprintf("%.0f %%", r.foreign*100)
	}
	return []string{limit, got, interval, strconv.Itoa(r.got.n), r.met(), foreign}
}

func (r row) String() string {
	s := fmt.Sprintf("%s %s: %s", r.code, r.what, strings.Join(r.cells(), " | "))
	if r.got.n > 0 {
		s += fmt.Sprintf(" (seen %s – %s; %s)", r.format(r.got.least), r.format(r.got.most), r.note)
	}
	return s
}

// Formats of a row's figures.

func ratio(v float64) string   { return strconv.FormatFloat(v, 'f', 3, 64) }
func percent(v float64) string { return strconv.FormatFloat(v*100, 'f', 1, 64) + " % of a CPU" }
func share(v float64) string   { return strconv.FormatFloat(v*100, 'f', 2, 64) + " %" }
func plain(v float64) string   { return strconv.FormatFloat(v, 'f', -1, 64) }
func octets(v float64) string  { return strconv.FormatFloat(v, 'f', 0, 64) + " B" }

func nanoseconds(v float64) string {
	for _, u := range []struct {
		ns   float64
		name string
	}{{1e9, "s"}, {1e6, "ms"}, {1e3, "µs"}} {
		if v >= u.ns {
			return strconv.FormatFloat(v/u.ns, 'g', 3, 64) + " " + u.name
		}
	}
	return strconv.FormatFloat(v, 'f', 0, 64) + " ns"
}
