package plan

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestExamples(t *testing.T) {
	want := map[string]struct {
		cells int
		time  time.Duration // with no overhead
		label string        // of the last cell
	}{
		"nagle":      {22, 22 * 6 * 1200 * time.Millisecond, "target=epoll TCP_NODELAY=on server.SO_RCVBUF=16KiB"},
		"models":     {19, 19 * 6 * 700 * time.Millisecond, "target=epoll connections=64"},
		"rate":       {12, 12 * 6 * 2200 * time.Millisecond, "target=epoll rate=10k arrivals=poisson"},
		"variants":   {4, 4 * 6 * 1200 * time.Millisecond, "connections=256 variant=new"},
		"own-server": {8, 8 * 10 * 1200 * time.Millisecond, "target=epoll client.TCP_NODELAY=on write=split"},
	}
	files, err := filepath.Glob("../examples/*.yaml")
	if err != nil || len(files) != len(want) {
		t.Errorf("%d examples, want %d (%v)", len(files), len(want), err)
	}
	for _, file := range files {
		src, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if first, _, _ := strings.Cut(string(src), "\n"); first != "# yaml-language-server: $schema="+schemaFile {
			t.Errorf("%s: its first line is %q: editors look for the schema there", file, first)
		}
		p, err := Parse(file, src)
		if err != nil {
			t.Error(err)
			continue
		}
		w := want[strings.TrimSuffix(filepath.Base(file), ".yaml")]
		cells := p.Cells()
		if len(cells) != w.cells || p.Time(0) != w.time || p.Label(cells[len(cells)-1]) != w.label {
			t.Errorf("%s: %d cells, %v, %q; want %+v", file, len(cells), p.Time(0), p.Label(cells[len(cells)-1]), w)
		}
	}
}

// The first run a person makes: six models by two by two, each block in about 12 s.
func TestBuiltin(t *testing.T) {
	p := Builtin()
	if p.Name != "default" || len(p.Cells()) != 24 || p.Blocks != 6 || p.Time(0) != 24*6*450*time.Millisecond || p.Cells()[0]["connections"] != "8" {
		t.Errorf("%+v, %d cells, %v", p, len(p.Cells()), p.Time(0))
	}
}
