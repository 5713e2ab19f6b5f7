package results

import (
	"bytes"
	"strconv"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/sockbench/sockbench/plan"
	"github.com/sockbench/sockbench/sockopt"
)

// shared keeps once what most trials of a run say in the same words, and reads the counters, which are most of a trial's
// values, without reflection: together half of the time and of the memory. Not safe for concurrent use.
type shared struct {
	specs    map[string]plan.Spec       // by their text
	readings map[string]sockopt.Reading // by theirs
	names    map[string]string
	options  jsonv2.Options
}

// sharedMost bounds each of the maps: a folder that holds no trials shares nothing.
const sharedMost = 4096

func newShared() *shared {
	s := &shared{specs: map[string]plan.Spec{}, readings: map[string]sockopt.Reading{}, names: map[string]string{}}
	s.options = jsonv2.JoinOptions(jsontext.AllowDuplicateNames(true), jsonv2.WithUnmarshalers(jsonv2.JoinUnmarshalers(
		jsonv2.UnmarshalFromFunc(func(d *jsontext.Decoder, v *plan.Spec) error { return once(d, s.specs, v) }),
		jsonv2.UnmarshalFromFunc(func(d *jsontext.Decoder, v *sockopt.Reading) error { return once(d, s.readings, v) }),
		jsonv2.UnmarshalFromFunc(s.counters))))
	return s
}

// once reads a value, which all that are written the same share.
func once[T any](d *jsontext.Decoder, seen map[string]T, v *T) error {
	text, err := d.ReadValue()
	if err != nil {
		return err
	}
	known, ok := seen[string(text)]
	if !ok {
		if err := jsonv2.Unmarshal(text, &known); err != nil {
			return err
		}
		if len(seen) >= sharedMost {
			clear(seen)
		}
		seen[string(text)] = known
	}
	*v = known
	return nil
}

// counters reads an object of whole numbers.
func (s *shared) counters(d *jsontext.Decoder, v *map[string]int64) error {
	text, err := d.ReadValue()
	if err != nil {
		return err
	}
	if bytes.ContainsAny(text, "\\[ \n") || !bytes.HasPrefix(text, []byte("{")) { // nothing that this package writes
		return jsonv2.Unmarshal(text, v)
	}
	m := make(map[string]int64, bytes.Count(text, []byte(":")))
	for rest := text[1:]; len(rest) > 1; { // of valid JSON: "name":number, or }
		name, after, _ := bytes.Cut(rest[1:], []byte(`":`))
		end := bytes.IndexAny(after, ",}")
		n, err := strconv.ParseInt(string(after[:end]), 10, 64)
		if err != nil {
			return jsonv2.Unmarshal(text, v)
		}
		m[s.name(name)], rest = n, after[end+1:]
	}
	*v = m
	return nil
}

func (s *shared) name(text []byte) string {
	name, ok := s.names[string(text)]
	if !ok {
		if len(s.names) >= sharedMost {
			clear(s.names)
		}
		name = string(text)
		s.names[name] = name
	}
	return name
}
