package plan

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"

	"github.com/sockbench/sockbench/internal/near"
	"github.com/sockbench/sockbench/internal/planfile"
)

// compiled is Schema, ready to judge.
var compiled = sync.OnceValue(func() *jsonschema.Schema {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(Schema()))
	if err != nil {
		panic("plan: schema: " + err.Error()) // a mistake in Schema, which its test finds
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource(schemaID, doc); err != nil {
		panic("plan: schema: " + err.Error())
	}
	return c.MustCompile(schemaID)
})

// shape lists where the file departs from the schema.
func (r *reading) shape() []planfile.Problem {
	var failed *jsonschema.ValidationError
	if err := compiled().Validate(r.root.JSON()); !errors.As(err, &failed) {
		return nil
	}
	s := reading{root: r.root}
	s.departures(failed)
	return s.problems
}

// departures reports the leaves of e. Of alternatives that all failed, none is the one that was meant, so they are one.
func (r *reading) departures(e *jsonschema.ValidationError) {
	at := e.InstanceLocation
	value := func(text string, args ...any) {
		r.report(fault{at: at, err: fmt.Errorf(text, args...)})
	}
	_, node := r.root.Find(at...)
	switch k := e.ErrorKind.(type) {
	case *kind.AdditionalProperties:
		for _, key := range k.Properties {
			r.report(fault{at: append(slices.Clone(at), key), key: true, err: unknown(at, key)})
		}
	case *kind.Required:
		value("%s is missing: write for example %s", strings.Join(k.Missing, " and "), entries[at[0]])
	case *kind.PropertyNames:
		r.report(fault{at: append(slices.Clone(at), k.Property), key: true, err: fmt.Errorf("%q is no name here", k.Property)})
	case *kind.Type, *kind.AnyOf:
		stands := string(node.Kind)
		if node.Kind == planfile.Scalar && node.Text == "" {
			stands = "nothing"
		}
		value("%s stands here: write %s", stands, wanted(k, node))
	case *kind.MinItems, *kind.MinProperties:
		value("it is empty: fill it or leave it out")
	case *kind.Enum:
		var words []string
		for _, w := range k.Want {
			if s, ok := w.(string); ok {
				words = append(words, s)
			}
		}
		value("choose one of %s%s", strings.Join(words, ", "), near.Suggest(fmt.Sprint(k.Got), words))
	default:
		for _, cause := range e.Causes {
			r.departures(cause)
		}
		if len(e.Causes) > 0 {
			return
		}
		value("it does not fit the plan's schema (%s)", strings.Join(k.KeywordPath(), " "))
	}
}

// entries are examples of the list items that need certain keys.
var entries = map[string]string{"gate": "{metric: p99, worse: 20%}", "limits": "{metric: p99, limit: 2ms}"}

// wanted says how to write what a schema's type asks for, where node stands.
func wanted(k jsonschema.ErrorKind, node *planfile.Node) string {
	t, ok := k.(*kind.Type)
	text := !ok || slices.Contains(t.Want, "string")
	switch {
	case text && node.Kind == planfile.Scalar && node.Text != "":
		return "it in quotes" // of null
	case text:
		return "a single value"
	case slices.Contains(t.Want, "object"):
		return "a mapping, lines of key: value"
	case slices.Contains(t.Want, "array"):
		return "a list, [a, b] or lines that begin with -"
	}
	return "a whole number, without quotes"
}

// unknown says what is wrong with a key that is not of its mapping.
func unknown(at []string, key string) error {
	known := []string{"name", "seed", "blocks", "duration", "warmup", "fixed", "factors", "exclude", "variants", "gate", "limits"}
	if len(at) > 0 {
		known = map[string][]string{"gate": {"metric", "worse"}, "limits": {"metric", "limit"}}[at[0]]
	} else if _, err := Lookup(key); err == nil {
		return fmt.Errorf("unknown key %s: it is a knob: put it under fixed or factors", key)
	}
	return fmt.Errorf("unknown key %s: choose one of %s%s", key, strings.Join(known, ", "), near.Suggest(key, known))
}
