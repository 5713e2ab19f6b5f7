package plan

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/sockbench/sockbench/internal/planfile"
)

const schemaFile = "../schema/plan-v1.schema.json"

var update = flag.Bool("update", false, "write "+schemaFile)

func TestSchemaIsCurrent(t *testing.T) {
	if *update {
		if err := os.WriteFile(schemaFile, Schema(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	committed, err := os.ReadFile(schemaFile)
	if err != nil || !bytes.Equal(committed, Schema()) {
		t.Errorf("%s is not what the knobs say (%v): run go generate ./plan", schemaFile, err)
	}
}

func TestSchemaIsASchema(t *testing.T) {
	meta, err := jsonschema.NewCompiler().Compile("https://json-schema.org/draft/2020-12/schema")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(Schema()))
	if err != nil {
		t.Fatal(err)
	}
	if err := meta.Validate(doc); err != nil {
		t.Error(err)
	}
	var s struct {
		Defs map[string]struct{ Description string } `json:"$defs"`
	}
	if err := json.Unmarshal(Schema(), &s); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"target", "workers", "TCP_NODELAY", "client.TCP_NODELAY", "server.TCP_NODELAY", "TCP_SYNCNT", "client.TCP_SYNCNT", "backlog"} {
		if s.Defs[name].Description == "" {
			t.Errorf("knob %s is missing, or has no description", name)
		}
	}
	for _, name := range []string{"server.TCP_SYNCNT", "client.backlog"} {
		if _, ok := s.Defs[name]; ok {
			t.Errorf("%s is a knob, but not of that side", name)
		}
	}
}

// TestSchemaAgreesWithKnobs tries levels of every kind on every knob: what the knob takes as a YAML scalar, an editor
// must not underline, and words that it does not know, it should.
func TestSchemaAgreesWithKnobs(t *testing.T) {
	levels := []string{"default", "on", "off", "true", "false", "yes", "no", "0", "1", "64", "1.5", "16KiB", "1s", "50us", "exp:50us",
		"sleep:exp:5ms", "none", "20k", "300/s", "on@each_read", "16KiB@established", "cubic", "server=0;client=1", "'addr: tcp://h:1'", "'64'", "ramp:1k-2k", "'steps:1k,2k'"}
	for _, k := range Knobs {
		if k.Values != nil {
			levels = append(levels, k.Values()...)
		}
	}
	for _, name := range names(true) {
		k, err := Lookup(name)
		if err != nil {
			continue
		}
		for _, level := range levels {
			root, problems := planfile.Parse([]byte("fixed: {" + name + ": " + level + "}"))
			if root == nil || len(problems) > 0 {
				continue // "exec:" is no YAML scalar
			}
			_, knob := k.Canonical(strings.Trim(level, "'"))
			shape := (&reading{root: root}).shape()
			if knob == nil && len(shape) > 0 {
				t.Errorf("%s=%s: the knob takes it, the schema says %v", name, level, shape)
			}
			if k.Values != nil && !k.Open && knob != nil && len(shape) == 0 {
				t.Errorf("%s=%s: the schema takes it, the knob says %v", name, level, knob)
			}
		}
	}
}
