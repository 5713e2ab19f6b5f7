package plan

import (
	"errors"
	"fmt"
	"strings"
)

// ParseKnobList reads "target=epoll,TCP_NODELAY=on" as a cell with canonical levels; "variant=NAME" stays as written. A
// comma belongs to the level before it where that knob's levels may contain commas and no known knob and "=" follow.
func ParseKnobList(text string) (Cell, error) {
	c := Cell{}
	var errs []error
	for _, item := range splitKnobs(text) {
		name, level, ok := strings.Cut(item, "=")
		if name = strings.TrimSpace(name); !ok {
			errs = append(errs, fmt.Errorf("%q is not a knob and its level: write for example target=epoll,TCP_NODELAY=on", item))
			continue
		}
		var err error
		if name != variant {
			var k Knob
			if k, err = Lookup(name); err == nil {
				level, err = k.Canonical(level)
			}
		}
		if _, twice := c[name]; err == nil && twice {
			err = fmt.Errorf("knob %s: it is named twice", name)
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		c[name] = level
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return c, nil
}

func splitKnobs(text string) (items []string) {
	commas := false // the item before may go on
	for part := range strings.SplitSeq(text, ",") {
		name, _, _ := strings.Cut(part, "=")
		name = strings.TrimSpace(name)
		k, err := Lookup(name)
		if known := (err == nil || name == variant) && strings.Contains(part, "="); commas && !known {
			items[len(items)-1] += "," + part
			continue
		}
		commas = err == nil && k.Commas
		items = append(items, part)
	}
	return items
}
