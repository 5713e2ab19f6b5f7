package plan

import _ "embed" // the built-in plan

//go:embed default.yaml
var builtinFile []byte

// Builtin is the plan that is run where no knob is named.
func Builtin() *Plan {
	p, err := Parse("default.yaml", builtinFile)
	if err != nil {
		panic("plan: " + err.Error()) // of a file that is part of the program, and that the tests read
	}
	return p
}
