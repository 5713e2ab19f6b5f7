package plan

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/sockbench/sockbench/internal/near"
	"github.com/sockbench/sockbench/netpath"
	"github.com/sockbench/sockbench/sockopt"
	"github.com/sockbench/sockbench/unit"
)

// Lookup finds a knob: one of Knobs, or a socket option by its kernel name, for both sides (those it has) or with
// "client." or "server." before it for one.
func Lookup(name string) (Knob, error) {
	if i := slices.IndexFunc(Knobs, func(k Knob) bool { return k.Name == name }); i >= 0 {
		return Knobs[i], nil
	}
	if setting, ok := strings.CutPrefix(name, sysctl); ok {
		return sysctlKnob(name, setting), nil
	}
	option, side := splitOption(name)
	o, ok := sockopt.Find(option)
	if !ok {
		return Knob{}, fmt.Errorf("knob %s: there is no such knob%s", name, near.Suggest(name, names(strings.Contains(name, "."))))
	}
	if o.Refuse != "" {
		return Knob{}, fmt.Errorf("knob %s: %s", name, o.Refuse)
	}
	if o.Sides&side == 0 {
		return Knob{}, fmt.Errorf("knob %s: %s acts on the %s's sockets only: write %s", name, o.Name, o.Sides, o.Name)
	}
	return optionKnob(name, o, o.Sides&side), nil
}

// sysctl is what a knob begins with that is a kernel setting of the trial's network namespaces.
const sysctl = "sysctl."

func sysctlKnob(name, setting string) Knob {
	return Knob{Name: name, Help: "the kernel's " + setting + ", in the network namespaces of both ends", Default: unset, Commas: true, Open: true,
		Fields: func(s *Spec) []Text { return []Text{&sysctlField{setting, &s.Sysctls}} }}
}

// sysctlField is one sysctl's place among those of a Spec, as optionField is an option's.
type sysctlField struct {
	name string
	all  *netpath.Sysctls
}

func (f *sysctlField) MarshalText() ([]byte, error) {
	for _, s := range *f.all {
		if s.Name == f.name {
			return []byte(s.Value), nil
		}
	}
	return []byte(unset), nil
}

func (f *sysctlField) UnmarshalText(text []byte) error {
	others := slices.DeleteFunc(slices.Clone(*f.all), func(s netpath.Sysctl) bool { return s.Name == f.name })
	if string(text) != unset {
		s, err := netpath.NewSysctl(f.name, string(text))
		if err != nil {
			return err
		}
		others = append(others, s)
	}
	slices.SortFunc(others, func(a, b netpath.Sysctl) int { return cmp.Compare(a.Name, b.Name) })
	*f.all = others
	return nil
}

// splitOption divides "client.TCP_NODELAY" into its option and its side.
func splitOption(name string) (option string, side sockopt.Side) {
	if o, ok := strings.CutPrefix(name, "client."); ok {
		return o, sockopt.Client
	}
	if o, ok := strings.CutPrefix(name, "server."); ok {
		return o, sockopt.Server
	}
	return name, sockopt.Both
}

// Option is the socket option that a knob sets, and on whose sockets; ok is false where it is another knob, or none.
func Option(knob string) (o *sockopt.Option, sides sockopt.Side, ok bool) {
	name, side := splitOption(knob)
	if o, ok = sockopt.Find(name); ok {
		sides = o.Sides & side
	}
	return o, sides, ok && sides != 0
}

// isOption says whether a known knob is a socket option's.
func isOption(knob string) bool {
	option, _ := splitOption(knob)
	_, ok := sockopt.Find(option)
	return ok
}

// names lists what Lookup knows, for suggestions.
func names(sided bool) (all []string) {
	for _, k := range Knobs {
		all = append(all, k.Name)
	}
	for _, o := range sockopt.All {
		if o.Refuse != "" {
			continue
		}
		all = append(all, o.Name)
		if sided && o.Sides&sockopt.Client != 0 {
			all = append(all, "client."+o.Name)
		}
		if sided && o.Sides&sockopt.Server != 0 {
			all = append(all, "server."+o.Name)
		}
	}
	return all
}

func optionKnob(name string, o *sockopt.Option, sides sockopt.Side) Knob {
	k := Knob{Name: name, Help: o.Doc, Default: unset, Server: sides == sockopt.Server, Open: true}
	if o.Kind == sockopt.Bool {
		k.Values = words(unset, "on", "off")
	}
	k.Fields = func(s *Spec) (fields []Text) {
		if sides&sockopt.Client != 0 {
			fields = append(fields, &optionField{o, sockopt.Client, &s.Load.Options})
		}
		if sides&sockopt.Server != 0 {
			fields = append(fields, &optionField{o, sockopt.Server, &s.Target.Options})
		}
		return fields
	}
	return k
}

// optionField is one option's place among a side's settings, which are kept in the order of their names, so that equal
// cells give equal Specs. It never writes into the slice it found: other Specs share it.
type optionField struct {
	option *sockopt.Option
	side   sockopt.Side
	all    *[]sockopt.Setting
}

func (f *optionField) MarshalText() ([]byte, error) {
	for _, s := range *f.all {
		if s.Option == f.option.Name {
			return []byte(s.String()), nil
		}
	}
	return []byte(unset), nil
}

func (f *optionField) UnmarshalText(text []byte) error {
	var others []sockopt.Setting
	for _, s := range *f.all {
		if s.Option != f.option.Name {
			others = append(others, s)
		}
	}
	if string(text) != unset {
		s, err := f.option.Parse(string(text), f.side)
		if err != nil { // it begins with what is said already, by the name of the knob
			return errors.New(strings.TrimPrefix(err.Error(), f.option.Name+"="+string(text)+": "))
		}
		others = append(others, s)
	}
	slices.SortFunc(others, func(a, b sockopt.Setting) int { return cmp.Compare(a.Option, b.Option) })
	*f.all = others
	return nil
}

// set gives every field of the knob the level. The error does not name the knob.
func (k Knob) set(s *Spec, level Level) error {
	level = strings.TrimSpace(level)
	if level == unset {
		level = k.Default
	}
	for _, f := range k.Fields(s) {
		if err := f.UnmarshalText([]byte(level)); err != nil {
			if k.Values == nil || slices.ContainsFunc(k.Values(), func(v string) bool { return strings.HasSuffix(v, ":") && strings.HasPrefix(level, v) }) {
				return err // which is about the argument
			}
			return errors.New(err.Error() + near.Suggest(level, k.Values()))
		}
		if _, word := f.(*unit.Word); word && k.Values != nil && !slices.Contains(k.Values(), level) {
			return fmt.Errorf("choose one of %s%s", strings.Join(k.Values(), ", "), near.Suggest(level, k.Values()))
		}
	}
	return nil
}

// Canonical is the level as cells keep it: equal levels give equal text, and the default is written out.
func (k Knob) Canonical(level Level) (Level, error) {
	var s Spec
	if err := k.set(&s, level); err != nil {
		return "", fmt.Errorf("%s=%s: %w", k.Name, level, err)
	}
	text, err := k.Fields(&s)[0].MarshalText()
	return string(text), err
}
