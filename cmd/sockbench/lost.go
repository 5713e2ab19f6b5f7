package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sockbench/sockbench/plan"
	"github.com/sockbench/sockbench/results"
)

// lost are the targets that could not be started, so that a run does not wait for each of their trials in vain.
type lost map[string]struct {
	failed int
	worked bool
	last   string
}

// tries is how often a target that never worked is started.
const tries = 2

func (l lost) note(r results.Record) {
	target := r.Spec.Target.Target.String()
	e := l[target]
	if r.Metrics != nil {
		e.worked = true
	} else if r.Stage == "serve" && e.failed < tries { // those that were not tried are no failures of their own
		e.failed++
		e.last = r.Error
	}
	l[target] = e
}

// record is the trial's failure if its target is lost.
func (l lost) record(t plan.Trial) (results.Record, bool) {
	e := l[t.Spec.Target.Target.String()]
	if e.worked || e.failed < tries {
		return results.Record{}, false
	}
	return results.Record{Schema: results.Schema, Trial: t, Started: time.Now().UTC(), Stage: "serve",
		Error: fmt.Sprintf("not tried again after %d failures; the last one: %s", e.failed, e.last)}, true
}

// withoutResult is an error if a target that was named, and not only brought in by "all", gave no result at all.
func withoutResult(p *plan.Plan, records []results.Record) error {
	seen, why := map[string]bool{}, map[string]string{}
	for _, r := range records {
		target := r.Spec.Target.Target.String()
		switch {
		case r.Metrics != nil && r.Metrics.Throughput > 0:
			seen[target] = true
		case r.Metrics != nil && why[target] == "":
			why[target] = "it completed no request"
		case why[target] == "":
			why[target] = r.Error
		}
	}
	var errs []error
	for target, reason := range why {
		if !seen[target] && !slices.Contains(p.Brought, target) {
			errs = append(errs, fmt.Errorf("target %s gave no result: %s", target, reason))
		}
	}
	slices.SortFunc(errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errors.Join(errs...)
}
