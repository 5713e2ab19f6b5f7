package explain

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sockbench/sockbench/internal/testenv"
	"github.com/sockbench/sockbench/plan"
	"github.com/sockbench/sockbench/results"
	"github.com/sockbench/sockbench/sockopt"
)

// versus is a plan of two variants with these knobs.
func versus(t *testing.T, winner, first plan.Cell) *plan.Plan {
	t.Helper()
	p, err := newPlan(t, "target=epoll", "connections=8").With(plan.Changes{Variants: []plan.Variant{{Name: "winner", Knobs: winner}, {Name: "first", Knobs: first}}})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func snippet(a *results.Advice, name string) string {
	for _, s := range a.Snippets {
		if s.Name == name {
			return s.Code
		}
	}
	return ""
}

func TestAdvice(t *testing.T) {
	a := Advice(versus(t, plan.Cell{"write": "single", "backlog": "1024", "client.TCP_NODELAY": "on", "SO_RCVBUF": "default", "TCP_CONGESTION": "reno", "sysctl.net.ipv4.tcp_sack": "0"},
		plan.Cell{"write": "split", "backlog": "1024", "client.TCP_NODELAY": "off", "SO_RCVBUF": "16KiB", "SO_SNDBUF": "16KiB"}))
	for _, want := range []string{"write=single instead of split: no socket option", "set client.TCP_NODELAY=on; it was off", "leave SO_RCVBUF unset; it was 16KiB",
		"leave SO_SNDBUF unset; it was 16KiB", "set the sysctl net.ipv4.tcp_sack to 0; it was default", "set TCP_CONGESTION=reno; it was default"} {
		if all := strings.Join(a.Change, "\n"); strings.Count(all+"\n", want) != 1 {
			t.Errorf("%q is not in\n%s", want, all)
		}
	}
	if len(a.Change) != 6 {
		t.Errorf("what is the same on both sides is no change: %q", a.Change)
	}
	if code := snippet(a, "Go"); !strings.Contains(code, "func connected(fd int)") || strings.Contains(code, "SO_RCVBUF") || strings.Contains(code, "beforeConnect(fd int) error {\n\treturn errors.Join(\n\t\tsyscall.SetsockoptInt") {
		t.Errorf("TCP_NODELAY is lost where Go sets it after us, or what is unset is set:\n%s", code)
	}
	if code := snippet(a, "sysctl"); !strings.Contains(code, "net.ipv4.tcp_sack = 0\n") || !strings.Contains(code, "net.ipv4.tcp_congestion_control = reno\n") {
		t.Errorf("sysctl: %s", code)
	}
	if all := strings.Join(a.Holds, "\n"); !strings.Contains(all, "target=epoll via=none path=none") || !strings.Contains(all, "connections=8") || !strings.Contains(all, "\nTCP_NODELAY: ") {
		t.Errorf("where it holds: %s", all)
	}
}

func TestAdviceForNginx(t *testing.T) {
	a := Advice(versus(t, plan.Cell{"backlog": "1024", "server.SO_RCVBUF": "64KiB", "server.TCP_NODELAY": "on", "server.SO_REUSEPORT": "on", "client.SO_SNDBUF": "64KiB", "server.TCP_FASTOPEN": "16"},
		plan.Cell{"server.TCP_NODELAY": "off"}))
	if code, want := snippet(a, "nginx"), "listen 80 backlog=1024 rcvbuf=65536 reuseport fastopen=16;\ntcp_nodelay on;\n"; sortedWords(code) != sortedWords(want) {
		t.Errorf("nginx: %s, want %s", code, want)
	}
	if code := snippet(a, "sysctl"); !strings.Contains(code, "# net.core.somaxconn caps backlog without an error: it must be 1024 or more\n") || !strings.Contains(code, "net.ipv4.tcp_fastopen = 2\n") {
		t.Errorf("sysctl: %s", code)
	}
}

// sortedWords lets the parameters of a directive be in any order.
func sortedWords(code string) string {
	words := strings.Fields(strings.ReplaceAll(code, ";", " ;"))
	cell := plan.Cell{}
	for _, w := range words {
		cell[w] = ""
	}
	return cell.String()
}

// every is each option of the catalogue, with some level, on each of its sides.
func every(t *testing.T) (all []setting) {
	t.Helper()
	for i := range sockopt.All {
		o := &sockopt.All[i]
		if o.Refuse != "" || calls[o.Name] != "" {
			continue
		}
		before := len(all)
		for _, level := range []plan.Level{"on", "16KiB", "5", "reno", "2s", "5ms", "1"} {
			if all = append(all, settingsOf(o, o.Sides, level)...); len(all) > before {
				break
			}
		}
		if len(all) == before {
			t.Errorf("%s has no code, and no words instead", o.Name)
		}
		if o.Phases&sockopt.EachRead != 0 {
			all = append(all, settingsOf(o, o.Sides, "on@each_read")...)
		}
	}
	return all
}

// The code for every option compiles, with all warnings as errors.
func TestAdviceCompiles(t *testing.T) {
	all := every(t)
	runGo(t, "package main\n\n"+goCode(all, nil)+"\nvar _ = []any{listen, dial, set, afterListen, accepted, connected, serverRead, clientRead}\n\nfunc main() {}\n")
	compileC(t, cCode(all, nil)+"\nint main(void) { return before_listen(-1) + after_listen(-1) + accepted(-1) + server_read(-1) + before_connect(-1) + connected(-1) + client_read(-1) > 0; }\n")
	runPython(t, pythonCode(all, nil))
}

// The code sets what it says on real sockets: on accepted and connected ones of a program in each language.
func TestAdviceRuns(t *testing.T) {
	a := Advice(versus(t, plan.Cell{"TCP_USER_TIMEOUT": "1500ms", "SO_RCVBUF": "16KiB", "TCP_NODELAY": "on", "SO_LINGER": "5s", "SO_RCVTIMEO": "12ms",
		"SO_MAX_PACING_RATE": "1250kB", "backlog": "7", "SO_KEEPALIVE": "on@established"}, plan.Cell{"TCP_NODELAY": "off"}))
	const want = "1500 1 1500 1"
	out := runGo(t, "package main\n\nimport \"fmt\"\n"+snippet(a, "Go")+`
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func main() {
	ctx := context.Background()
	ln := must(listen(ctx, "tcp", "127.0.0.1:0"))
	must(0, set(ln, afterListen))
	c := must(dial(ctx, "tcp", ln.Addr().String()))
	must(0, set(c, connected))
	s := must(ln.Accept())
	must(0, set(s, accepted))
	for _, x := range []any{s, c} {
		must(0, set(x, func(fd int) error {
			fmt.Println(must(syscall.GetsockoptInt(fd, 6, 18)), must(syscall.GetsockoptInt(fd, 6, 1)))
			return nil
		}))
	}
}
`)
	if got := strings.Join(strings.Fields(out), " "); got != want {
		t.Errorf("Go: %q, want %q", got, want)
	}
	program := compileC(t, snippet(a, "C")+`
#include <stdio.h>

static void show(int fd)
{
	int timeout = 0, nodelay = 0;
	socklen_t n = sizeof(int);
	getsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout, &n);
	getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &nodelay, &n);
	printf("%d %d ", timeout, nodelay != 0);
}

int main(void)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof(at);
	int l = socket(AF_INET, SOCK_STREAM, 0), c = socket(AF_INET, SOCK_STREAM, 0);
	if (before_listen(l) || bind(l, (struct sockaddr *)&at, n) || listen(l, 1) || after_listen(l) || getsockname(l, (struct sockaddr *)&at, &n))
		return 1;
	if (before_connect(c) || connect(c, (struct sockaddr *)&at, n) || connected(c))
		return 2;
	int s = accept(l, 0, 0);
	if (accepted(s))
		return 3;
	show(s);
	show(c);
	return 0;
}
`)
	said, err := exec.Command(program).Output()
	if got := strings.TrimSpace(string(said)); err != nil || got != want {
		t.Errorf("C: %q, want %q: %v", got, want, err)
	}
	out = runPython(t, snippet(a, "Python")+`

l = socket.socket()
before_listen(l)
l.bind(("127.0.0.1", 0))
l.listen(1)
after_listen(l)
c = socket.socket()
before_connect(c)
c.connect(l.getsockname())
connected(c)
s, _ = l.accept()
accepted(s)
for sock in s, c:
    print(sock.getsockopt(6, 18), int(sock.getsockopt(6, 1) != 0))
`)
	if got := strings.Join(strings.Fields(out), " "); got != want {
		t.Errorf("Python: %q, want %q", got, want)
	}
}

// put writes a file into a folder of its own.
func put(t *testing.T, name, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func output(t *testing.T, what string, c *exec.Cmd) string {
	t.Helper()
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", what, err, out)
	}
	return string(out)
}

func runGo(t *testing.T, code string) string {
	t.Helper()
	if formatted := output(t, code, exec.Command("gofmt", "-l", put(t, "main.go", code))); formatted != "" {
		t.Errorf("the Go code is not formatted:\n%s", code)
	}
	return output(t, code, exec.Command("go", "run", put(t, "main.go", code)))
}

func compileC(t *testing.T, code string) (program string) {
	t.Helper()
	file := put(t, "main.c", code)
	program = strings.TrimSuffix(file, ".c")
	output(t, code, exec.Command("gcc", "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-o", program, file))
	return program
}

func runPython(t *testing.T, code string) string {
	t.Helper()
	python, err := exec.LookPath("python3")
	if err != nil {
		testenv.Skip(t, "python3", err.Error())
	}
	return output(t, code, exec.Command(python, put(t, "main.py", code)))
}
