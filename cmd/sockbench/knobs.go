package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/sockbench/sockbench/internal/near"
	"github.com/sockbench/sockbench/plan"
	"github.com/sockbench/sockbench/sockopt"
)

// knobs gathers the levels that flags and the environment name, in the order named.
type knobs struct{ named []plan.Factor }

// add appends levels to a knob, which comes into being by it.
func (k *knobs) add(name string, levels ...string) {
	for i := range k.named {
		if k.named[i].Knob == name {
			k.named[i].Levels = append(k.named[i].Levels, levels...)
			return
		}
	}
	k.named = append(k.named, plan.Factor{Knob: name, Levels: levels})
}

func (k *knobs) has(name string) bool {
	return slices.ContainsFunc(k.named, func(f plan.Factor) bool { return f.Knob == name })
}

// knobFlag is one knob's flag.
type knobFlag struct {
	all  *knobs
	knob *plan.Knob
}

func (f knobFlag) String() string { return "" }
func (f knobFlag) Type() string   { return "level" }
func (f knobFlag) Set(s string) error {
	f.all.add(f.knob.Name, split(*f.knob, s)...)
	return nil
}

// split cuts "a,b" into levels, unless the knob's levels hold commas themselves. Bare names do not.
func split(k plan.Knob, text string) []string {
	if k.Commas && (k.Values == nil || strings.ContainsAny(text, ":=@")) {
		return []string{text}
	}
	levels := strings.Split(text, ",")
	for i := range levels {
		levels[i] = strings.TrimSpace(levels[i])
	}
	return levels
}

// setFlag is --set NAME=LEVEL[,LEVEL…], which knows every knob and every socket option.
type setFlag struct{ all *knobs }

func (f setFlag) String() string { return "" }
func (f setFlag) Type() string   { return "NAME=LEVEL,…" }
func (f setFlag) Set(s string) error {
	name, levels, ok := strings.Cut(s, "=")
	if !ok {
		return fmt.Errorf("write NAME=LEVEL, for example TCP_NODELAY=off,on")
	}
	k, err := plan.Lookup(strings.TrimSpace(name))
	if err != nil {
		return err
	}
	f.all.add(k.Name, split(k, levels)...)
	return nil
}

// flags adds a flag for every knob, and --set.
func (k *knobs) flags(c *cobra.Command) {
	c.Flags().SortFlags = false
	for i := range plan.Knobs {
		knob := &plan.Knobs[i]
		name := strings.ReplaceAll(knob.Name, "_", "-")
		c.Flags().Var(knobFlag{k, knob}, name, help(knob))
		if knob.Values != nil {
			complete(c, name, knob.Values())
		}
	}
	c.Flags().Var(setFlag{k}, "set", "any knob or socket option: TCP_NODELAY=off,on or client.SO_RCVBUF=16KiB")
	var names []string
	for _, o := range sockopt.All {
		if o.Refuse == "" {
			names = append(names, o.Name+"=")
		}
	}
	complete(c, "set", names)
}

func help(k *plan.Knob) string {
	h := k.Help
	if k.Values != nil && !k.Open {
		h += " (" + strings.Join(k.Values(), ", ") + ")"
	}
	return h + "; default " + k.Default
}

// complete offers words for a flag's value, and goes on after a comma.
func complete(c *cobra.Command, flag string, words []string) {
	err := c.RegisterFlagCompletionFunc(flag, func(_ *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
		before := typed[:strings.LastIndex(typed, ",")+1]
		var out []string
		for _, w := range words {
			out = append(out, before+w)
		}
		return out, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
	})
	if err != nil {
		panic(err) // the flag was added a line above
	}
}

// environment adds the knobs that SOCKBENCH_NAME names and no flag does.
func (k *knobs) environment() {
	for i := range plan.Knobs {
		knob := &plan.Knobs[i]
		if text, ok := os.LookupEnv("SOCKBENCH_" + strings.ToUpper(knob.Name)); ok && !k.has(knob.Name) {
			k.add(knob.Name, split(*knob, text)...)
		}
	}
	for _, entry := range os.Environ() {
		name, text, _ := strings.Cut(strings.TrimPrefix(entry, "SOCKBENCH_"), "=")
		if _, ok := sockopt.Find(name); ok && strings.HasPrefix(entry, "SOCKBENCH_") && !k.has(name) {
			k.add(name, strings.Split(text, ",")...)
		}
	}
}

// single is the cell that k names, for commands that do one thing: every knob has one level.
func (k *knobs) single(c *cobra.Command) error {
	var errs []error
	for _, f := range k.named {
		if len(f.Levels) != 1 {
			errs = append(errs, fmt.Errorf("%s=%s: %s takes one level of each knob; run compares several",
				f.Knob, strings.Join(f.Levels, ","), c.CommandPath()))
		}
	}
	return errors.Join(errs...)
}

// meant adds what was probably meant to an error about flags.
func meant(err error, c *cobra.Command) error {
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) {
		return err
	}
	name := unknown.GetSpecifiedName()
	if o, ok := sockopt.Find(strings.ToUpper(strings.ReplaceAll(name, "-", "_"))); ok {
		return fmt.Errorf("no flag --%s: a socket option is set by --set %s=LEVEL", name, o.Name)
	}
	var names []string
	c.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	if best := near.Word(name, names); best != "" {
		return fmt.Errorf("no flag --%s: did you mean --%s?", name, best)
	}
	return fmt.Errorf("no flag --%s", name)
}
