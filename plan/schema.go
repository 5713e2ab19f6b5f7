package plan

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
)

//go:generate go test -run TestSchemaIsCurrent -update

// schemaID names the schema; it need not be there.
const schemaID = "https://github.com/sockbench/sockbench/schema/plan-v1.schema.json"

type object = map[string]any

// Schema is the JSON Schema of plan files, made of Knobs and the option table: for editors, and for the shape of what
// Parse reads. It accepts every level that its knob does, except that the words of closed lists are as listed.
func Schema() []byte {
	defs, bundle, factors := object{}, object{}, object{}
	for _, name := range names(true) {
		k, err := Lookup(name)
		if err != nil { // an option that only one side has is not for both
			continue
		}
		ref := object{"$ref": "#/$defs/" + name}
		defs[name] = levels(k)
		bundle[name] = ref
		factors[name] = object{"type": "array", "items": ref, "minItems": 1}
	}
	exclusion := object{variant: text("the name of a variant")}
	for name, ref := range bundle {
		exclusion[name] = ref
	}
	setting := levels(sysctlKnob("", "setting net.…"))
	defs["sysctl"] = setting
	ref := object{"$ref": "#/$defs/sysctl"}
	defs["knobs"] = knobs("knobs, each with one level", bundle, ref)

	top := mapping("What sockbench run is to measure: every combination of the levels of all factors, in blocks of random order.", object{
		"name":     text("of the run, for its folder; default: the file's name"),
		"seed":     object{"type": "integer", "minimum": 0, "default": DefaultSeed, "description": "of the order of trials, arrivals and service times"},
		"blocks":   object{"type": "integer", "minimum": 1, "maximum": maxBlocks, "default": DefaultBlocks, "description": "how often every cell is run"},
		"duration": duration("length of a trial's measure phase", DefaultDuration.String()),
		"warmup":   duration("load before the measure phase, which does not count", DefaultWarmup.String()),
		"fixed":    object{"$ref": "#/$defs/knobs"},
		"factors":  knobs("knobs, each with the list of its levels", factors, object{"type": "array", "items": ref, "minItems": 1}),
		"exclude": list("cells that have all the levels of one entry are left out",
			filled(knobs("levels of knobs that are named in this plan", exclusion, ref))),
		"variants": object{"type": "object", "description": "named bundles of knobs; together they are the factor variant", "minProperties": 1,
			"propertyNames": object{"pattern": `^[^,=\s]+$`}, "additionalProperties": object{"$ref": "#/$defs/knobs"}},
		"gate": list("how much worse a metric may become before a comparison fails", required(mapping("", object{
			"metric": metric(), "worse": text("a share of the old value: 5%")}), "metric", "worse")),
		"limits": list("what a metric must keep to", required(mapping("", object{
			"metric": metric(), "limit": text("a value of the metric's kind: 2ms, 20k, 1%, 16MiB")}), "metric", "limit")),
	})
	top["$schema"], top["$id"], top["title"], top["$defs"] = "https://json-schema.org/draft/2020-12/schema", schemaID, "sockbench plan", defs

	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(top); err != nil {
		panic("plan: schema: " + err.Error()) // maps of text and numbers
	}
	return out.Bytes()
}

// levels is the schema of one level of k.
func levels(k Knob) object {
	s := object{"description": k.Help, "default": k.Default}
	types := []string{"string", "number", "boolean"} // a scalar is taken as written, whatever YAML takes it for
	if k.Pairs {
		types = append(types, "object") // which is k=v,k=v
	}
	open := object{"type": types}
	if k.Values == nil {
		s["type"] = types
		return s
	}
	var words []any
	for _, w := range append([]string{unset}, k.Values()...) {
		if !strings.HasSuffix(w, ":") && !slices.Contains(words, any(w)) { // "exec:" is only the beginning of a level
			words = append(words, w)
		}
	}
	if k.Open {
		s["anyOf"] = []object{{"enum": words}, open}
		return s
	}
	if slices.Contains(words, any("on")) {
		words = append(words, true, false, "true", "false", "yes", "no", 1, 0, "1", "0")
	}
	s["enum"] = words
	return s
}

func mapping(doc string, properties object) object {
	s := object{"type": "object", "properties": properties, "additionalProperties": false}
	if doc != "" {
		s["description"] = doc
	}
	return s
}

// knobs is a mapping by knobs, to which those of the open family sysctl.NAME belong too.
func knobs(doc string, properties object, sysctls object) object {
	s := mapping(doc, properties)
	s["patternProperties"] = object{`^sysctl\.net\.`: sysctls}
	return s
}

func list(doc string, items object) object {
	return object{"type": "array", "description": doc, "items": items}
}

func filled(mapping object) object {
	mapping["minProperties"] = 1
	return mapping
}

func required(mapping object, keys ...string) object {
	mapping["required"] = keys
	return mapping
}

func text(doc string) object {
	return object{"type": []string{"string", "number", "boolean"}, "description": doc}
}

func duration(doc, standard string) object {
	return object{"type": "string", "description": doc, "default": standard, "examples": []string{"1s", "350ms"}}
}

func metric() object {
	var names []string
	for _, m := range Metrics {
		names = append(names, m.Name)
	}
	return object{"enum": names}
}
