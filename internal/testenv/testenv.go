// Package testenv says what becomes of a test that the machine cannot run.
package testenv

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// require names what a machine is said to have: a list such as "iouring,userns,fork", or "1", everything.
const require = "SOCKBENCH_TEST_REQUIRE"

// Skip skips the test for want of something, or fails it where the machine is said to have it.
func Skip(t testing.TB, what, why string) {
	t.Helper()
	if list := os.Getenv(require); list == "1" || slices.Contains(strings.Split(list, ","), what) {
		t.Fatalf("required here, but not there: %s: %s", what, why)
	}
	t.Skipf("no %s: %s", what, why)
}
