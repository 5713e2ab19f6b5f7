package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"

	"github.com/sockbench/sockbench/internal/testenv"
)

// TestAction runs the script of action.yml as GitHub would, with these inputs.
func TestAction(t *testing.T) {
	if testing.Short() {
		t.Skip("takes some checks; run without -short")
	}
	bash, err := exec.LookPath("bash")
	if err != nil {
		testenv.Skip(t, "bash", err.Error())
	}
	text, err := os.ReadFile("../../action.yml")
	if err != nil {
		t.Fatal(err)
	}
	var action struct {
		Inputs map[string]struct{ Default string }
		Runs   struct {
			Steps []struct {
				ID, Run string
				Env     map[string]string
			}
		}
	}
	if err := yaml.Unmarshal(text, &action); err != nil || len(action.Runs.Steps) != 2 {
		t.Fatalf("%v: %+v", err, action)
	}
	step := action.Runs.Steps[1]
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name    string
		inputs  map[string]string
		code    int
		verdict string
	}{
		{"regression", map[string]string{"old": "service_time=100us", "new": "service_time=2ms", "worse": "throughput=5% p99=20%"}, exitWrong, "regression"},
		{"usage", map[string]string{"old": "service_time=100us"}, exitUsage, "failed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			temp := t.TempDir()
			if err := os.Symlink(self, filepath.Join(temp, "sockbench")); err != nil {
				t.Fatal(err)
			}
			output := filepath.Join(temp, "output")
			env := append(os.Environ(), asProgram+"=1", "RUNNER_TEMP="+temp, "GITHUB_OUTPUT="+output)
			c.inputs["args"] = "--duration 100ms --warmup 10ms --connections 2 --quiet"
			input := regexp.MustCompile(`^\$\{\{ inputs\.([a-z-]+) \}\}$`)
			for name, from := range step.Env {
				key := input.FindStringSubmatch(from)
				if key == nil {
					t.Fatalf("%s is %s", name, from)
				}
				declared, ok := action.Inputs[key[1]]
				if !ok {
					t.Fatalf("%s is of no input", name)
				}
				value := c.inputs[key[1]]
				if value == "" {
					value = declared.Default
				}
				env = append(env, name+"="+value)
			}
			var cmd *exec.Cmd
			var said []byte
			for range 3 { // what cannot tell on a busy machine is made again
				cmd = exec.Command(bash, "--noprofile", "--norc", "-eo", "pipefail", "-c", step.Run)
				cmd.Dir, cmd.Env = temp, env
				if err := os.RemoveAll(output); err != nil {
					t.Fatal(err)
				}
				said, _ = cmd.CombinedOutput() // its code is looked at
				if cmd.ProcessState.ExitCode() != exitInconclusive {
					break
				}
			}
			if code := cmd.ProcessState.ExitCode(); code != c.code {
				t.Errorf("exit %d: %s", code, said)
			}
			got, err := os.ReadFile(output)
			if err != nil || !strings.HasPrefix(string(got), "verdict="+c.verdict+"\nreport-path="+temp) {
				t.Errorf("the outputs are %q (%v): %s", got, err, said)
			}
		})
	}
}
