package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sockbench/sockbench/internal/testenv"
	"github.com/sockbench/sockbench/loadgen"
	"github.com/sockbench/sockbench/results"
	"github.com/sockbench/sockbench/wire"
)

// TestPythonServerOfTheDocs runs the server that docs/wire.md shows, as it says.
func TestPythonServerOfTheDocs(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		testenv.Skip(t, "python3", err.Error())
	}
	doc, err := os.ReadFile("../../docs/wire.md")
	if err != nil {
		t.Fatal(err)
	}
	_, code, _ := strings.Cut(string(doc), "```python\n")
	code, _, found := strings.Cut(code, "```")
	if lines := strings.Count(strings.ReplaceAll(code, "\n\n", "\n"), "\n"); !found || lines > 20 {
		t.Fatalf("the server has %d lines", lines)
	}
	file := filepath.Join(t.TempDir(), "server.py")
	if err := os.WriteFile(file, []byte(code), 0o644); err != nil { // for an ordinary user in a namespace too
		t.Fatal(err)
	}

	server := exec.Command(python, file, "0")
	out, err := server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = server.Process.Kill() // it may have ended
		_ = server.Wait()         // by the kill
	}()
	said, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	port := strings.TrimSpace(strings.TrimPrefix(said, "listening on port "))
	for _, sizes := range [][]string{nil, {"--request", "100", "--reply", "70000", "--write", "split", "--set", "client.TCP_NODELAY=on"}} {
		code, stdout, stderr := here(t, append([]string{"load", "127.0.0.1:" + port, "--connections", "8", "--duration", "200ms", "-o", "json"}, sizes...)...)
		var m struct {
			Offered, Completed int64
			Errors             map[string]int64
			Connections        struct{ Served int }
		}
		if err := json.Unmarshal([]byte(stdout), &m); code != exitFine || err != nil || m.Completed == 0 || m.Completed != m.Offered || len(m.Errors) > 0 || m.Connections.Served != 8 {
			t.Errorf("%v: exit %d, %+v, %v: %s", sizes, code, m, err, stderr)
		}
	}

	dir := filepath.Join(t.TempDir(), "run")
	if code, _, stderr := here(t, quick(dir, "--target", "exec: "+python+" "+file+" {port}", "--target", "thread")...); code != exitFine {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	r, err := results.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, rec := range r.Records {
		if rec.Metrics == nil || rec.Metrics.Completed == 0 || len(rec.Metrics.Errors) > 0 {
			t.Errorf("%s: %+v", rec.Cell, rec)
		}
	}
}

// TestFramingsAreDocumented: each has a section of docs/wire.md, and a word in docs/the-load.md.
func TestFramingsAreDocumented(t *testing.T) {
	for file, mark := range map[string]string{"wire": "\n## `%s`", "the-load": "`%s`"} {
		doc, err := os.ReadFile("../../docs/" + file + ".md")
		if err != nil {
			t.Fatal(err)
		}
		for i := range wire.All {
			if want := fmt.Sprintf(mark, wire.All[i].Name); !strings.Contains(string(doc), want) {
				t.Errorf("docs/%s.md says nothing of %q", file, want)
			}
		}
	}
}

// TestTheLoadIsDocumented: every workload, engine and dispatch stands in docs/the-load.md.
func TestTheLoadIsDocumented(t *testing.T) {
	doc, err := os.ReadFile("../../docs/the-load.md")
	if err != nil {
		t.Fatal(err)
	}
	names := append(loadgen.EngineNames(), loadgen.Dispatches...)
	for _, w := range loadgen.Workloads {
		names = append(names, w.Name)
	}
	for _, name := range names {
		if !strings.Contains(string(doc), "`"+name+"`") {
			t.Errorf("docs/the-load.md says nothing of `%s`", name)
		}
	}
}
