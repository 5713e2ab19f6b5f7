package results

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/sockbench/sockbench/sockopt"
)

// options finds the socket options that became one of these classes, on either side. Options that a model sets by
// itself were not asked for and are not judged.
func options(v Verdict, classes ...sockopt.Class) func(*Record) (Doubt, bool) {
	return func(r *Record) (Doubt, bool) {
		asked := 0
		var found []string
		for _, side := range []struct {
			name    string
			applied []sockopt.Applied
		}{{"client", r.Metrics.Client.Applied}, {"server", r.Metrics.Server.Applied}} {
			for _, a := range side.applied {
				if a.Class != sockopt.ByModel {
					asked++
				}
				if slices.Contains(classes, a.Class) {
					found = append(found, side.name+" "+fate(a))
				}
			}
		}
		if asked == 0 {
			return Doubt{}, false
		}
		if len(found) == 0 {
			return judged(false, v, "none of the options read back")
		}
		return judged(true, v, "%s", strings.Join(found, "; "))
	}
}

// fate is what became of an option, in words: "SO_RCVBUF=64MiB reads 4MiB (capped by net.core.rmem_max=4194304)".
func fate(a sockopt.Applied) string {
	text := fmt.Sprintf("%s=%s", a.Option, a.Asked)
	if a.Got != "" && a.Got != string(a.Asked) {
		text += " reads " + a.Got
	}
	switch {
	case a.Error != "":
		return text + " (" + a.Error + ")"
	case a.Note != "":
		return text + " (" + a.Note + ")"
	}
	return text
}

// kinds lists errors by kind, as ": 3 reset, 1 short".
func kinds(errors map[string]int64) string {
	var parts []string
	for _, kind := range slices.Sorted(maps.Keys(errors)) {
		parts = append(parts, fmt.Sprintf("%d %s", errors[kind], kind))
	}
	if len(parts) == 0 {
		return ""
	}
	return ": " + strings.Join(parts, ", ")
}
