package sockopt

import (
	"fmt"
	"strings"
)

//go:generate go test -run TestPageIsCurrent -update

// Facts is the entry in words: what of it and how it is there, in the order of a page.
func (o *Option) Facts() (facts [][2]string) {
	add := func(what, how string) {
		if how != "" {
			facts = append(facts, [2]string{what, how})
		}
	}
	add("refused", o.Refuse)
	add("matters where", o.Needs)
	if o.Level != noLevel {
		add("level, number", fmt.Sprintf("%d, %d", o.Level, o.Num))
	}
	if o.Refuse != "" {
		return facts
	}
	add("unit", string(o.Kind))
	add("range", o.Range())
	add("sides", o.Sides.String())
	add("sockets of", o.On().String())
	add("set at", o.Phases.String())
	if o.Sides&Server != 0 {
		add("accepted sockets inherit it", map[bool]string{true: "yes", false: "no"}[o.Inherited])
	}
	add("reads back", string(o.Reads))
	if o.Listener {
		add("read on", "the listening socket")
	}
	if o.Reads == ReadsRounded {
		add("rounded up to", o.RoundsTo)
	}
	add("capped by", o.Cap)
	add("privilege", o.Privilege)
	if o.Blocking {
		add("acts on", "blocking sockets only")
	}
	add("cannot act without", string(o.Condition))
	add("inert", o.Inert)
	return facts
}

// Page is docs/options.md: the table as it is on every machine.
func Page() []byte {
	var b strings.Builder
	b.WriteString(`# Socket options

Made of the table in ` + "`sockopt`" + ` by ` + "`go generate ./sockopt`" + `. What this machine's kernel says of each: ` + "`sockbench options`" + `,
and ` + "`sockbench options NAME`" + ` for one.

Each is a knob by its name: ` + "`--set SO_RCVBUF=16KiB,default`" + `, for one side ` + "`client.SO_RCVBUF`" + ` or ` + "`server.SO_RCVBUF`" + `. An option
that is not named is not set. A level acts in the option's usual phase, the first one listed, unless ` + "`@phase`" + ` follows:
` + "`socket`" + ` is before bind, listen and connect, ` + "`listen`" + ` after listen, ` + "`established`" + ` after connect or accept, ` + "`each_read`" + `
after every read. What became of it is read back on connected and accepted sockets after connect and before close, and
classed: equal, doubled, rounded, capped, ignored, not inherited, inert, unsupported, denied. Figures are from one
machine with two CPUs (Linux 6.18, 250 Hz): sizes, not promises.

| option | unit | sides | set at | inherited | capped by, privilege |
|---|---|---|---|---|---|
`)
	for i := range All {
		o := &All[i]
		if o.Refuse != "" {
			fmt.Fprintf(&b, "| [%s](#%s) | refused | | | | |\n", o.Name, strings.ToLower(o.Name))
			continue
		}
		inherited := ""
		if o.Inherited && o.Sides&Server != 0 {
			inherited = "yes"
		}
		var limits []string
		for _, limit := range []string{o.Cap, o.Privilege} {
			if limit != "" {
				limits = append(limits, limit)
			}
		}
		fmt.Fprintf(&b, "| [%s](#%s) | %s | %s | %s | %s | %s |\n", o.Name, strings.ToLower(o.Name), o.Kind, o.Sides, o.Phases, inherited, strings.Join(limits, ", "))
	}
	for i := range All {
		o := &All[i]
		fmt.Fprintf(&b, "\n## %s\n\n%s\n\n", o.Name, o.Doc)
		for _, f := range o.Facts() {
			fmt.Fprintf(&b, "- %s: %s\n", f[0], f[1])
		}
	}
	return []byte(b.String())
}
