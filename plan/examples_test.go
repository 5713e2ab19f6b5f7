package plan

import (
	"io/fs"
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
		"nagle":                     {22, 22 * 6 * 1200 * time.Millisecond, "target=epoll TCP_NODELAY=on server.SO_RCVBUF=16KiB"},
		"models":                    {19, 19 * 6 * 700 * time.Millisecond, "target=epoll connections=64"},
		"rate":                      {12, 12 * 6 * 2200 * time.Millisecond, "target=epoll rate=10k arrivals=poisson"},
		"variants":                  {4, 4 * 6 * 1200 * time.Millisecond, "connections=256 variant=new"},
		"path":                      {6, 6 * 6 * 3000 * time.Millisecond, "path=delay=20ms,rate=100mbit client.SO_RCVBUF=1MiB"},
		"own-server":                {8, 8 * 10 * 1200 * time.Millisecond, "target=epoll client.TCP_NODELAY=on write=split"},
		"python/tcpserver":          {6, 6 * 6 * 700 * time.Millisecond, "workload=crr connections=8 variant=blocking"},
		"python/threadingtcpserver": {8, 8 * 6 * 700 * time.Millisecond, "workload=crr connections=32 variant=thread"},
		"python/forkingtcpserver":   {12, 12 * 6 * 700 * time.Millisecond, "workload=crr connections=32 variant=thread"},
		"python/asyncio":            {6, 6 * 6 * 700 * time.Millisecond, "connections=128 variant=epoll"},
		"python/pool":               {6, 6 * 6 * 700 * time.Millisecond, "workload=crr connections=16 variant=pool"},
		"python/reuseport":          {12, 12 * 6 * 700 * time.Millisecond, "workers=4 connections=32 variant=prefork"},
		"redis/get":                 {8, 8 * 6 * 700 * time.Millisecond, "connections=16 pipeline=16 variant=epoll"},
		"nginx/http":                {8, 8 * 6 * 700 * time.Millisecond, "workload=crr connections=64 variant=epoll"},
		"nginx/nodelay":             {2, 2 * 6 * 600 * time.Millisecond, "variant=new"},
		"nginx/stream":              {12, 12 * 6 * 700 * time.Millisecond, "connections=16 request=16KiB variant=nginx"},
	}
	found := 0
	err := filepath.WalkDir("../examples", func(file string, d fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(file) != ".yaml" {
			return err
		}
		found++
		src, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		schema, err := filepath.Rel(filepath.Dir(file), schemaFile)
		if err != nil {
			return err
		}
		if first, _, _ := strings.Cut(string(src), "\n"); first != "# yaml-language-server: $schema="+schema {
			t.Errorf("%s: its first line is %q: editors look for the schema there, %s", file, first, schema)
		}
		p, err := Parse(file, src)
		if err != nil {
			t.Error(err)
			return nil
		}
		w, known := want[strings.TrimSuffix(strings.TrimPrefix(file, "../examples/"), ".yaml")]
		cells := p.Cells()
		if !known || len(cells) != w.cells || p.Time(0) != w.time || p.Label(cells[len(cells)-1]) != w.label {
			t.Errorf("%s: %d cells, %v, %q; want %+v", file, len(cells), p.Time(0), p.Label(cells[len(cells)-1]), w)
		}
		return nil
	})
	if err != nil || found != len(want) {
		t.Errorf("%d examples, want %d (%v)", found, len(want), err)
	}
}

// The first run a person makes: six models by two by two, each block in about 12 s.
func TestBuiltin(t *testing.T) {
	p := Builtin()
	if p.Name != "default" || len(p.Cells()) != 24 || p.Blocks != 6 || p.Time(0) != 24*6*450*time.Millisecond || p.Cells()[0]["connections"] != "8" {
		t.Errorf("%+v, %d cells, %v", p, len(p.Cells()), p.Time(0))
	}
}
