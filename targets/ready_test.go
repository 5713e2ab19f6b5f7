package targets_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kballard/go-shellquote"

	"github.com/sockbench/sockbench/internal/testenv"
	"github.com/sockbench/sockbench/targets"
)

// A command says that it is ready as it was told to: with a line, however it is cut up, or with a good status; not sooner.
func TestReady(t *testing.T) {
	for _, c := range []struct{ ready, script, says string }{
		{"log: up and", "sleep 0.2; printf 'not yet\\nup a'; sleep 0.1; printf 'nd running\\n'; exec sleep 60", ""},
		{"log: up and", "echo up; echo and; exit 4", `exit status 4 after`},
		{"log: up and", "yes | head -c 200000; sleep 0.2; echo up and about; exec sleep 60", ""},
		{"http: /health", "exit 5", "before it did answer GET http://127.0.0.1:"},
	} {
		var r targets.Ready
		if err := r.UnmarshalText([]byte(c.ready)); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		s := targets.Spec{Target: targets.Ref{Model: "exec", Arg: "sh -c " + shellquote.Join(c.script) + " {port}"}, Ready: r}
		srv, err := targets.Start(t.Context(), s, targets.Place{})
		if err == nil {
			if took := time.Since(began); took < 150*time.Millisecond {
				t.Errorf("%s: ready after %v", c.script, took)
			}
			if err := srv.Close(); err != nil {
				t.Error(err)
			}
		}
		if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s, %s: %v, want %q", c.ready, c.script, err, c.says)
		}
	}
}

func TestReadyText(t *testing.T) {
	for in, want := range map[string]string{"port": "port", "log:listening, at last": "log: listening, at last", "http: /x?y=1": "http: /x?y=1"} {
		var r targets.Ready
		err := r.UnmarshalText([]byte(in))
		if text, _ := r.MarshalText(); err != nil || string(text) != want {
			t.Errorf("%q: %q, %v", in, text, err)
		}
	}
	for _, in := range []string{"", "ports", "port: 3", "log", "log:", "http: x", "http: /a b"} {
		var r targets.Ready
		if err := r.UnmarshalText([]byte(in)); err == nil {
			t.Errorf("%q was read as %+v", in, r)
		}
	}
}

// The path is asked for until its status is good.
func TestReadyHTTP(t *testing.T) {
	if _, err := exec.LookPath("python3"); err != nil {
		testenv.Skip(t, "python3", err.Error())
	}
	script := `import http.server, sys, time
began = time.time()
class H(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/health" and time.time() > began + 0.3 else 503); self.end_headers()
    def log_message(self, *a): pass
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), H).serve_forever()
`
	path := filepath.Join(t.TempDir(), "s.py")
	if err := os.WriteFile(path, []byte(script), 0o600); err != nil {
		t.Fatal(err)
	}
	var r targets.Ready
	if err := r.UnmarshalText([]byte("http: /health")); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	srv, err := targets.Start(t.Context(), targets.Spec{Target: targets.Ref{Model: "exec", Arg: "python3 " + path + " {port}"}, Ready: r}, targets.Place{})
	if err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took < 300*time.Millisecond {
		t.Errorf("ready after %v, and its status was not good yet", took)
	}
	if err := srv.Close(); err != nil {
		t.Error(err)
	}
}
