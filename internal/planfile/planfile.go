// Package planfile reads YAML the way a person wrote it: as text with places. It is the one place that knows the YAML
// library, and it bounds what a file can make that library do.
package planfile

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
	"go.yaml.in/yaml/v4/plugin/loaderlimits"
)

const (
	maxSize  = 1 << 20
	maxLine  = 64 << 10 // the library's time grows with the square of a line: 1 MiB of "a," took 1.5 s
	maxDepth = 32
	maxNodes = 100_000 // after aliases are followed
)

// Kind is what a Node is.
type Kind string

const (
	Scalar Kind = "a single value"
	List   Kind = "a list"
	Map    Kind = "a mapping"
)

// Node is a value and its place. Aliases are followed: they lead to the node they stand for, with its place.
type Node struct {
	Kind      Kind
	Text      string // of a scalar, as written, without quotes
	Quoted    bool
	Line, Col int     // from 1; columns count characters
	Keys      []*Node // of a Map, in the order written, all different; Items[i] belongs to Keys[i]
	Items     []*Node
}

// Find goes down by keys, and by indexes from 0, as far as there is something. key is nil unless the last step was
// into a Map.
func (n *Node) Find(path ...string) (key, value *Node) {
	value = n
	for _, step := range path {
		key = nil
		next := value.child(step)
		if next < 0 {
			break
		}
		if value.Kind == Map {
			key = value.Keys[next]
		}
		value = value.Items[next]
	}
	return key, value
}

// child is the index of the item that step leads to, -1 if there is none.
func (n *Node) child(step string) int {
	if n.Kind == List {
		if i, err := strconv.Atoi(step); err == nil && i >= 0 && i < len(n.Items) {
			return i
		}
	}
	for i, k := range n.Keys {
		if k.Text == step {
			return i
		}
	}
	return -1
}

// JSON is the value as an editor reads it, which judges it by the schema: the types of YAML 1.2, for json's types.
// Numbers with an exponent stay text: nobody writes them here, and 1e999999999 takes a gigabyte.
func (n *Node) JSON() any {
	switch {
	case n.Kind == Map:
		m := make(map[string]any, len(n.Keys))
		for i, k := range n.Keys {
			m[k.Text] = n.Items[i].JSON()
		}
		return m
	case n.Kind == List:
		l := make([]any, len(n.Items))
		for i, item := range n.Items {
			l[i] = item.JSON()
		}
		return l
	case n.Quoted:
		return n.Text
	}
	switch n.Text {
	case "", "~", "null", "Null", "NULL":
		return nil
	case "true", "True", "TRUE":
		return true
	case "false", "False", "FALSE":
		return false
	}
	if !strings.ContainsAny(n.Text, "eE") && json.Valid([]byte(n.Text)) {
		return json.Number(n.Text)
	}
	return n.Text
}

// Parse reads one document. Without a tree the problem is the only one, and nothing can be said about the rest.
func Parse(src []byte) (*Node, []Problem) {
	src = bytes.TrimPrefix(src, []byte("\ufeff"))
	if p, bad := unreadable(src); bad {
		return nil, []Problem{p}
	}
	loader, err := yaml.NewLoader(bytes.NewReader(src), yaml.WithPlugin(loaderlimits.New(loaderlimits.DepthValue(maxDepth))))
	if err != nil {
		return nil, []Problem{{1, 1, err.Error()}}
	}
	var doc, other yaml.Node
	if err := loader.Load(&doc); errors.Is(err, io.EOF) {
		return nil, []Problem{{1, 1, "the plan is empty: name at least one knob, for example factors: {connections: [1, 16]}"}}
	} else if err != nil {
		return nil, []Problem{problem(err, src)}
	}
	if err := loader.Load(&other); err == nil {
		return nil, []Problem{{other.Line, other.Column, "a second document begins here: a plan is one: leave the rest out"}}
	} else if !errors.Is(err, io.EOF) {
		return nil, []Problem{problem(err, src)}
	}
	r := reader{}
	root := r.node(doc.Content[0], 0)
	if r.full {
		return nil, r.problems[len(r.problems)-1:]
	}
	return root, r.problems
}

// unreadable finds what no plan holds, before the library sees it, so that lines are the same lines to both.
func unreadable(src []byte) (p Problem, bad bool) {
	if len(src) > maxSize {
		return Problem{1, 1, fmt.Sprintf("the file has more than %d MiB: that is no plan", maxSize>>20)}, true
	}
	if bytes.HasPrefix(src, []byte("\xff\xfe")) || bytes.HasPrefix(src, []byte("\xfe\xff")) {
		return Problem{1, 1, "the file is UTF-16: save it as UTF-8"}, true
	}
	at := Problem{Line: 1, Col: 1}
	for i, lineStart := 0, 0; i < len(src); at.Col++ {
		r, size := utf8.DecodeRune(src[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			at.Text = fmt.Sprintf("byte 0x%02x is not UTF-8: save the file as UTF-8", src[i])
			return at, true
		case r == '\r' && i+1 < len(src) && src[i+1] == '\n':
		case r != '\n' && r != '\t' && unprintable(r):
			at.Text = fmt.Sprintf("character %U has no place in a plan: take it out", r)
			return at, true
		case i-lineStart > maxLine:
			at.Text = fmt.Sprintf("the line has more than %d KiB: break it", maxLine>>10)
			return at, true
		}
		if i += size; r == '\n' {
			at.Line, at.Col, lineStart = at.Line+1, 0, i
		}
	}
	return Problem{}, false
}

// unprintable characters would break lines, or steer the terminal of whoever reads an error.
func unprintable(r rune) bool {
	return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || r == '\ufeff'
}

// problem is the library's error in this package's terms. What was begun and not ended is shown where it begins.
func problem(err error, src []byte) Problem {
	var le *yaml.LoadError
	if !errors.As(err, &le) {
		return Problem{1, 1, err.Error()}
	}
	at, context := le.Mark, le.ContextMark
	text := "this is not YAML: " + le.Message
	switch {
	case strings.Contains(le.Message, "max depth"):
		text = fmt.Sprintf("it is nested more than %d deep: no plan is", maxDepth)
	case context.Line > 0 && at.Index >= utf8.RuneCount(src): // the library counts characters
		at, text = context, fmt.Sprintf("this is not YAML: %s, which begins here, the file ends: close it", le.ContextMsg)
	case strings.Contains(le.Message, "cannot start any token"):
		text += ": indent with spaces, not tabs, and put a value that begins with one of @ ` % in quotes"
	case strings.Contains(le.Message, "mapping values are not allowed"):
		text += ": indent it like the lines beside it, and put a value that contains a colon and a space in quotes"
	case context.Line > 0:
		text += fmt.Sprintf(" %s, which begins in line %d", le.ContextMsg, context.Line)
	}
	if lines := bytes.Split(src, []byte("\n")); at.Line > len(lines) { // the library's end of a file without a line's end
		at.Line, at.Column = len(lines), utf8.RuneCount(lines[len(lines)-1])+1
	}
	return Problem{max(at.Line, 1), max(at.Column, 1), text}
}

// reader makes Nodes of the library's.
type reader struct {
	problems []Problem
	nodes    int
	full     bool // it gave up: the last problem says why
}

func (r *reader) fail(n *yaml.Node, text string) {
	r.problems = append(r.problems, Problem{max(n.Line, 1), max(n.Column, 1), text})
}

func (r *reader) node(n *yaml.Node, depth int) *Node {
	if r.nodes++; !r.full && (r.nodes > maxNodes || depth > maxDepth) {
		r.full = true
		r.fail(n, fmt.Sprintf("it has more than %d values, or is nested more than %d deep: no plan is", maxNodes, maxDepth))
	}
	out := &Node{Kind: Scalar, Text: n.Value, Line: max(n.Line, 1), Col: max(n.Column, 1)}
	if r.full {
		return out
	}
	if n.Style&yaml.TaggedStyle != 0 {
		r.fail(n, fmt.Sprintf("the tag %s means nothing in a plan: leave it out", n.Tag))
	}
	switch n.Kind {
	case yaml.AliasNode:
		return r.node(n.Alias, depth+1)
	case yaml.SequenceNode:
		out.Kind = List
		for _, c := range n.Content {
			out.Items = append(out.Items, r.node(c, depth+1))
		}
	case yaml.MappingNode:
		out.Kind = Map
		r.pairs(out, n.Content, depth)
	default:
		out.Quoted = n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) != 0
		if n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
			out.Text = strings.TrimRight(n.Value, "\n")
		}
		if strings.ContainsFunc(out.Text, unprintable) {
			r.fail(n, fmt.Sprintf("the value %q holds a line break or another control character: a value is one line", out.Text))
			out.Text = ""
		}
	}
	return out
}

// pairs fills a Map.
func (r *reader) pairs(out *Node, content []*yaml.Node, depth int) {
	first := map[string]*Node{}
	for i := 0; i+1 < len(content); i += 2 {
		key, value := r.node(content[i], depth+1), r.node(content[i+1], depth+1)
		switch before := first[key.Text]; {
		case r.full:
		case key.Kind != Scalar:
			r.fail(content[i], fmt.Sprintf("%s is no key: a key is a word", key.Kind))
		case key.Text == "<<" && !key.Quoted:
			r.fail(content[i], "<< does not merge here: write the keys out")
		case before != nil:
			r.fail(content[i], fmt.Sprintf("key %s is here twice, first in line %d: put both in one", key.Text, before.Line))
		default:
			first[key.Text] = key
			out.Keys, out.Items = append(out.Keys, key), append(out.Items, value)
		}
	}
}
