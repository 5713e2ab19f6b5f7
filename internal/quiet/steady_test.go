package quiet

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestSteady(t *testing.T) {
	for _, c := range []struct {
		name  string
		fails int           // how many tries fail
		pause time.Duration // in each of them
		tries int
		held  bool
	}{
		{"it holds", 0, 0, 1, true},
		{"it holds although the machine stood still", 0, time.Second, 1, true},
		{"it fails on a machine that runs", 100, 0, 1, false},
		{"it fails by the machine's doing", 3, standstill, 4, true},
		{"it fails whatever the machine does", 100, standstill, tries, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			var did []string
			n := 0
			outer := &attempt{TB: t} // a test that may fail without failing this one
			outer.run(func(testing.TB) {
				steady(outer, func(f func()) time.Duration { f(); return c.pause }, func(t testing.TB) {
					n++
					t.Cleanup(func() { did = append(did, fmt.Sprint("clean ", n)) })
					if did = append(did, fmt.Sprint("try ", n)); n <= c.fails {
						t.Errorf("fault %d", n)
						t.Fatal("no more of it")
					}
					did = append(did, "end")
				})
			})
			if n != c.tries || outer.Failed() == c.held {
				t.Errorf("%d tries, failed %v; want %d, %v", n, outer.Failed(), c.tries, !c.held)
			}
			var want []string
			for i := range n {
				if want = append(want, fmt.Sprint("try ", i+1)); i >= c.fails {
					want = append(want, "end")
				}
				want = append(want, fmt.Sprint("clean ", i+1))
			}
			if !slices.Equal(did, want) {
				t.Errorf("it went %q, want %q", did, want)
			}
			last := fmt.Sprintf("fault %d", min(n, c.fails))
			if said := strings.Join(outer.said, "\n"); c.fails > 0 && !strings.Contains(said, last) {
				t.Errorf("%q is not told: %s", last, said)
			}
		})
	}
}

func TestLongestPause(t *testing.T) {
	got := longestPause(func() {
		waker := exec.Command("sh", "-c", fmt.Sprintf("sleep 0.1; kill -CONT %d", os.Getpid()))
		if err := waker.Start(); err != nil {
			t.Fatal(err)
		}
		unix.Kill(os.Getpid(), unix.SIGSTOP)
		waker.Wait()
	})
	if got < 50*time.Millisecond {
		t.Errorf("stopped for 100 ms or nearly, it saw %v", got)
	}
}
