package wire

import (
	"fmt"
	"strconv"
	"strings"
)

// Packing is how bodies are compressed. Text: "none", "gzip:1" to "gzip:9", "zstd:1" to "zstd:22". Zero: they are not.
type Packing struct {
	Kind  string
	Level int
}

// packers are the ways to compress, and the flag that says so in the head of a frame.
var packers = []struct {
	kind string
	most int // level
	flag byte
	make func(level int) packer
}{
	{"gzip", 9, 1, newGzip},
	{"zstd", 22, 2, newZstd},
}

func (p *Packing) UnmarshalText(text []byte) error {
	t := strings.TrimSpace(string(text))
	if t == "none" {
		*p = Packing{}
		return nil
	}
	kind, level, _ := strings.Cut(t, ":")
	for _, k := range packers {
		if n, err := strconv.Atoi(level); kind == k.kind && err == nil && n >= 1 && n <= k.most {
			*p = Packing{kind, n}
			return nil
		}
	}
	return fmt.Errorf("%q is no way to compress: write none, gzip:1 to gzip:9, or zstd:1 to zstd:22", text)
}

func (p Packing) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

func (p Packing) String() string {
	if p.Kind == "" {
		return "none"
	}
	return fmt.Sprintf("%s:%d", p.Kind, p.Level)
}

// packedMax is the largest message that may be compressed: what does not get smaller by it gets a little larger.
const packedMax = MaxFrame - MaxFrame/16

// checkPacking says whether the framing can carry compressed messages of these sizes.
func (f *Framing) checkPacking(p Params) error {
	switch {
	case p.Packing.Kind == "":
		return nil
	case f.Name != "length":
		return fmt.Errorf("compress %s acts on bodies of framing length, and framing %s has no word for it: write framing=length, or leave compress out", p.Packing, f.Name)
	case max(p.Request, p.Reply) > packedMax:
		return fmt.Errorf("with compress, request and reply are at most %d bytes", packedMax)
	}
	return nil
}
