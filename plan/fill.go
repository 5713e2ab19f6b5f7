package plan

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/sockbench/sockbench/internal/near"
	"github.com/sockbench/sockbench/sockopt"
	"github.com/sockbench/sockbench/targets"
	"github.com/sockbench/sockbench/unit"
)

// inCommand finds {knob} in a command of target exec or of via. {{ is a brace that is meant.
var inCommand = regexp.MustCompile(`\{\{|\{[A-Za-z_][A-Za-z0-9_.]*\}`)

// address is what the target itself puts into its command, and what stands in front of it into its own.
var address = []string{"host", "port", "upstream"}

// placeholders are the names in braces of a command, without those of the address.
func placeholders(command string) (names []string) {
	for _, found := range inCommand.FindAllString(command, -1) {
		if name := strings.Trim(found, "{}"); name != "" && !slices.Contains(address, name) {
			names = append(names, name)
		}
	}
	return names
}

// fill puts the levels of knobs in place of their names in the commands of s. A socket option that stands in that of the
// target is the command's to set on its sockets, and no longer ours.
func (s *Spec) fill() {
	for _, ref := range []*targets.Ref{&s.Target.Target, &s.Via.Ref} {
		if ref.Model == "exec" {
			s.fillIn(ref)
		}
	}
}

func (s *Spec) fillIn(ref *targets.Ref) {
	ref.Arg = inCommand.ReplaceAllStringFunc(ref.Arg, func(found string) string {
		name := strings.Trim(found, "{}")
		if level, err := s.level(name); name != "" && err == nil {
			if option, side := splitOption(name); ref == &s.Target.Target && isOption(name) && side&sockopt.Server != 0 {
				s.Target.Options = slices.DeleteFunc(slices.Clone(s.Target.Options), func(o sockopt.Setting) bool { return o.Option == option })
			}
			return plain(level)
		}
		return found
	})
}

// plain is a level as programs read it: bytes and counts are digits.
func plain(level Level) string {
	var b unit.Bytes
	var n unit.Count
	switch {
	case b.UnmarshalText([]byte(level)) == nil:
		return strconv.FormatInt(int64(b), 10)
	case n.UnmarshalText([]byte(level)) == nil:
		return strconv.FormatInt(int64(n), 10)
	}
	return level
}

// level is what s says of a knob.
func (s *Spec) level(name string) (Level, error) {
	k, err := Lookup(name)
	if err != nil {
		return "", err
	}
	fields := k.Fields(s)
	text, err := fields[len(fields)-1].MarshalText() // of an option of both sides, the server's
	return string(text), err
}

// command refuses one that is not told its port, and what stands in braces and is no knob, or none that was named.
func command(s subject) ([]string, string) {
	var commands []string
	if s.target.Name == "exec" {
		commands = append(commands, "target")
	}
	if s.spec.Via.Foreign() {
		commands = append(commands, "via")
	}
	for _, knob := range commands {
		if !slices.Contains(inCommand.FindAllString(s.cell[knob], -1), "{port}") {
			return []string{knob}, "it would not know where to listen: write {port} where it takes its port"
		}
		for _, name := range placeholders(s.cell[knob]) {
			level, err := s.spec.level(name)
			switch {
			case slices.Contains(s.named, name) && !slices.Contains(commands, name):
			case err != nil || slices.Contains(commands, name):
				return []string{knob}, fmt.Sprintf("{%s} in the command is neither {host}, {port} nor a knob (write {{%s} for a brace that is meant)%s",
					name, name, near.Suggest(name, append(names(false), address...)))
			case level == unset:
				return []string{knob}, fmt.Sprintf("{%s} in the command has no value: name the knob %s", name, name)
			}
		}
	}
	return nil, ""
}
