package proc

import (
	"encoding/json"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/sockbench/sockbench/internal/testenv"
)

// What a room attains, with what privileges.
func TestIsolation(t *testing.T) {
	root := os.Geteuid() == 0
	full, none := mode{PID: true, Net: true}, mode{}
	user, unmapped, net := full, full, mode{User: true, Map: true, Net: true}
	user.User, user.Map = true, true
	unmapped.User = true
	for _, c := range []struct {
		name string
		root bool // to set it up
		cmd  func(t *testing.T) *exec.Cmd
		want mode
		why  string
	}{
		{"root", true, func(t *testing.T) *exec.Cmd { return program(t, "isolation") }, full, ""},
		{"user", false, func(t *testing.T) *exec.Cmd { return asNobody(t, program(t, "isolation")) }, user, ""},
		{"root without capabilities", true, func(t *testing.T) *exec.Cmd { return program(t, "no capabilities") }, unmapped, ""},
		{"user under seccomp", false, func(t *testing.T) *exec.Cmd { return asNobody(t, program(t, "seccomp")) }, none, "a seccomp filter is active"},
		{"masked /proc", true, func(t *testing.T) *exec.Cmd {
			cmd := program(t, "masked")
			cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
			return cmd
		}, net, "a part of /proc is masked"},
		{"switched off", false, func(t *testing.T) *exec.Cmd { return program(t, "isolation", "SOCKBENCH_NO_NAMESPACES=1") }, none, "switched off"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.root && !root {
				testenv.Skip(t, "root", "this test must be run by root")
			}
			out, err := c.cmd(t).Output()
			if err != nil {
				t.Fatal(err)
			}
			var s shown
			if err := json.Unmarshal(out, &s); err != nil {
				t.Fatal(err, string(out))
			}
			t.Logf("%v: %+v", s.Took, s.Isolation)
			if s.Mode != c.want {
				if c.want.User && s.Mode == none {
					testenv.Skip(t, "userns", s.Isolation.Why)
				}
				t.Fatalf("mode %+v, want %+v: %s", s.Mode, c.want, s.Isolation.Why)
			}
			i, f := s.Isolation, s.Facts
			if i.PID != c.want.PID || i.Network != c.want.Net || (i.Why == "") != (c.why == "") || !strings.Contains(i.Why, c.why) {
				t.Errorf("isolation: %+v", i)
			}
			if f.Seen != f.PID || !f.Loopback || f.Ambient != "0000000000000000" {
				t.Errorf("facts: %+v", f)
			}
			if own := strings.HasPrefix(f.First, roomName); own != c.want.PID {
				t.Errorf("PID 1 is %q", f.First)
			}
			if alone := slices.Equal(f.Interfaces, []string{"lo"}); c.want.Net && !alone {
				t.Errorf("interfaces: %v", f.Interfaces)
			}
			if c.want.User && c.want.Map && (f.UID != s.UID || f.Effective != "0000000000000000") {
				t.Errorf("the part has uid %d and capabilities %s", f.UID, f.Effective)
			}
		})
	}
}
