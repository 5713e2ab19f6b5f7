package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/sockbench/sockbench/results"
	"github.com/sockbench/sockbench/results/resultstest"
)

// generated is a run folder of 4 cells, and the lines of its trials.
func generated(t *testing.T, blocks int) (dir string, lines [][]byte) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "run")
	if err := resultstest.Generate(dir, 4, blocks, 1); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(dir, "trials.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	return dir, bytes.SplitAfter(bytes.TrimSuffix(data, []byte("\n")), []byte("\n"))
}

func rewrite(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// readers are the commands that read a run folder.
func readers(dir string) [][]string {
	return [][]string{{"report", dir}, {"report", dir, "-o", "json"}, {"compare", dir, "--by", "TCP_NODELAY"}, {"explain", dir}}
}

// What is broken in a folder is named with its file and line; the rest is used, and the exit code is that of the rest.
func TestBrokenLines(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(lines [][]byte) [][]byte
		says  []string
	}{
		"a torn last line": {func(l [][]byte) [][]byte { l[31] = l[31][:len(l[31])/2]; return l }, []string{"the last line of ", "trials.jsonl", "cut short"}},
		"a flipped byte":   {func(l [][]byte) [][]byte { l[3][1] ^= 8; return l }, []string{"trials.jsonl:4: it is damaged"}},
		"zeros":            {func(l [][]byte) [][]byte { clear(l[3][:len(l[3])/2]); return l }, []string{"trials.jsonl:4: it is damaged"}},
		"a future schema": {func(l [][]byte) [][]byte {
			l[4] = bytes.Replace(l[4], []byte(`"schema":1`), []byte(`"schema":2`), 1)
			return l
		}, []string{"trials.jsonl:5: schema 2 is newer than this build reads: use a newer sockbench"}},
		"a trial of another plan": {func(l [][]byte) [][]byte {
			l[5] = bytes.Replace(l[5], []byte(`"block":1`), []byte(`"block":7`), 1)
			return l
		},
			[]string{"trials.jsonl:6: trial ", "is of another plan than manifest.json"}},
		"a trial twice": {func(l [][]byte) [][]byte { return append([][]byte{l[0]}, l...) }, []string{"trials.jsonl:2: trial ", "is there twice"}},
		"many lines of something else": {func(l [][]byte) [][]byte {
			return append(bytes.SplitAfter(bytes.Repeat([]byte("{}\n"), 500), []byte("\n"))[:500], l...)
		}, []string{"trials.jsonl:1: it is no trial", "left out: 492 more lines of "}},
	} {
		t.Run(name, func(t *testing.T) {
			dir, lines := generated(t, 8)
			lines[31] = append(lines[31], '\n')
			rewrite(t, filepath.Join(dir, "trials.jsonl"), bytes.Join(c.spoil(lines), nil))
			for _, args := range readers(dir) {
				code, stdout, stderr := here(t, args...)
				if code != exitFine || len(stdout) < 100 {
					t.Errorf("%v: exit %d, %q, %s", args, code, stdout, stderr)
				}
				for _, says := range c.says {
					if !strings.Contains(stderr, says) {
						t.Errorf("%v: nothing says %q: %s", args, says, stderr)
					}
				}
				if strings.Count(stderr, "\n") > 10 {
					t.Errorf("%v says too much: %s", args, stderr)
				}
				if args[len(args)-1] == "json" && !json.Valid([]byte(stdout)) {
					t.Errorf("%v: no JSON", args)
				}
			}
		})
	}
}

// Half a histogram leaves the trial's numbers, and the merged percentiles to the other trials.
func TestHalfAHistogram(t *testing.T) {
	dir, lines := generated(t, 8)
	at := bytes.Index(lines[2], []byte(`"response":"`)) + len(`"response":"`)
	end := at + bytes.IndexByte(lines[2][at:], '"')
	lines[2] = append(bytes.Clone(lines[2][:at+(end-at)/2]), lines[2][end:]...)
	rewrite(t, filepath.Join(dir, "trials.jsonl"), append(bytes.Join(lines, nil), '\n'))
	code, stdout, stderr := here(t, "report", dir)
	if code != exitFine || !strings.Contains(strings.Join(strings.Fields(stdout), " "), "histogram_unreadable: left out: trial ") {
		t.Errorf("report: exit %d, %s%s", code, stdout, stderr)
	}
	for _, args := range readers(dir)[1:] {
		if code, _, stderr := here(t, args...); code != exitFine {
			t.Errorf("%v: exit %d, %s", args, code, stderr)
		}
	}
}

func TestBrokenFolders(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(t *testing.T, dir string)
		says  []string
	}{
		"no manifest": {func(t *testing.T, dir string) {
			if err := os.Remove(filepath.Join(dir, "manifest.json")); err != nil {
				t.Fatal(err)
			}
		}, []string{"is no run folder", "manifest.json"}},
		"half a manifest": {func(t *testing.T, dir string) {
			rewrite(t, filepath.Join(dir, "manifest.json"), []byte(`{"schema": 1, "pl`))
		}, []string{"manifest.json", "damaged"}},
		"a later manifest": {func(t *testing.T, dir string) {
			rewrite(t, filepath.Join(dir, "manifest.json"), []byte(`{"schema": 2}`))
		}, []string{"manifest.json has schema 2", "use a newer sockbench"}},
		"nothing but damage": {func(t *testing.T, dir string) { rewrite(t, filepath.Join(dir, "trials.jsonl"), []byte("x\ny\n")) },
			[]string{"trials.jsonl:1: it is damaged", "trials.jsonl:2:", "holds no line that can be used"}},
		"a line that never ends": {longLine, []string{"trials.jsonl:1: the line is longer than 64 MiB", "holds no line that can be used"}},
		"no permission": {func(t *testing.T, dir string) {
			if os.Getuid() == 0 { // may read everything: what cannot be read is then no file
				if err := errors.Join(os.Remove(filepath.Join(dir, "trials.jsonl")), os.Mkdir(filepath.Join(dir, "trials.jsonl"), 0o700)); err != nil {
					t.Fatal(err)
				}
			} else if err := os.Chmod(filepath.Join(dir, "trials.jsonl"), 0); err != nil {
				t.Fatal(err)
			}
		}, []string{"trials.jsonl"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir, _ := generated(t, 1)
			c.spoil(t, dir)
			for _, args := range append(readers(dir), []string{"run", "--resume", dir}, []string{"compare", dir, dir}) {
				if args[0] == "run" && !strings.Contains(name, "manifest") && name != "no permission" {
					continue // it would go on with it, and that takes a measurement
				}
				code, stdout, stderr := here(t, args...)
				if code != exitUsage || stdout != "" {
					t.Errorf("%v: exit %d, %q, %s", args, code, stdout, stderr)
				}
				for _, says := range c.says {
					if !strings.Contains(stderr, says) {
						t.Errorf("%v: nothing says %q: %s", args, says, stderr)
					}
				}
			}
		})
	}
}

// longLine makes trials.jsonl one line of 1 GB, of which the disk holds nothing.
func longLine(t *testing.T, dir string) {
	f, err := os.OpenFile(filepath.Join(dir, "trials.jsonl"), os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.WriteAt([]byte("\n"), 1<<30)
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
}

// A million lines that are no trials take the memory of some, and so does a line without end.
func TestAMillionLines(t *testing.T) {
	if testing.Short() {
		t.Skip("reads 70 MB; run without -short")
	}
	dir, lines := generated(t, 2)
	f, err := os.Create(filepath.Join(dir, "trials.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	out := bufio.NewWriter(f)
	const million = 1_000_000
	for i := range million {
		fmt.Fprintf(out, `{"schema":1,"id":"%016x","error":"not of this run"}`+"\n", i)
	}
	for _, l := range lines {
		_, _ = out.Write(l) // the error is Flush's
	}
	if err := errors.Join(out.WriteByte('\n'), out.Flush(), f.Close()); err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	run, err := results.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if len(run.Records) != 8 || len(run.Damaged)+run.More != million {
		t.Errorf("%d records, %d lines left out", len(run.Records), len(run.Damaged)+run.More)
	}
	if kept := int64(after.HeapAlloc) - int64(before.HeapAlloc); kept > 16<<20 {
		t.Errorf("%d MB are kept of eight trials", kept>>20)
	}
	if grown := int64(after.HeapSys) - int64(before.HeapSys); grown > 256<<20 {
		t.Errorf("the heap grew by %d MB", grown>>20)
	}
	runtime.KeepAlive(run)
}
