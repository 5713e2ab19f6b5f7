package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sockbench/sockbench/unit"
)

// durationFlag reads durations as plans write them.
type durationFlag unit.Duration

func (d *durationFlag) String() string     { return unit.Duration(*d).String() }
func (d *durationFlag) Type() string       { return "duration" }
func (d *durationFlag) Set(s string) error { return (*unit.Duration)(d).UnmarshalText([]byte(s)) }

// choice is a flag that takes one of a few words.
type choice struct {
	level string
	of    []string
}

func (w *choice) String() string { return w.level }
func (w *choice) Type() string   { return "format" }
func (w *choice) Set(s string) error {
	if !slices.Contains(w.of, s) {
		return fmt.Errorf("choose one of %s", strings.Join(w.of, ", "))
	}
	w.level = s
	return nil
}

// flag adds the choice as -o.
func (w *choice) flag(c *cobra.Command) {
	c.Flags().VarP(w, "output", "o", "what goes to standard output: "+strings.Join(w.of, ", "))
	complete(c, "output", w.of)
}

// seconds is a whole number of seconds as a duration.
func seconds(n int) durationFlag { return durationFlag(time.Duration(n) * time.Second) }
