package term

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestProgressOffTerminal(t *testing.T) {
	for _, c := range []struct {
		quiet bool
		want  string
	}{
		{false, "[11/120] target=epoll TCP_NODELAY=on  p99=310us  eta 14m\nblock 1 again: steal\n" +
			"[12/120] a b?[31m  -  eta 14m\n"},
		{true, "block 1 again: steal\n"},
	} {
		f, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
		if err != nil {
			t.Fatal(err)
		}
		p := NewProgress(f, c.quiet)
		p.Start(120, 10, 7700*time.Millisecond)
		p.Trial("target=epoll TCP_NODELAY=on", "p99=310us")
		p.Warn("block 1 again: steal")
		p.Trial("a\nb\x1b[31m", "-")
		p.Close()
		p.Close()
		got, err := os.ReadFile(f.Name())
		if err != nil {
			t.Fatal(err)
		}
		if want := strings.ReplaceAll(c.want, "?", "\ufffd"); string(got) != want {
			t.Errorf("quiet=%v: got\n%swant\n%s", c.quiet, got, want)
		}
	}
}

func TestReach(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	p := NewProgress(f, false)
	p.Start(1000, 0, time.Hour)
	p.Reach(400, 10*time.Millisecond, "2 open", "398 closed")
	p.Reach(1001, time.Second, "2 open", "999 closed")
	got, _ := os.ReadFile(f.Name())
	if want := "[400/1000] 2 open  398 closed  eta 6s\n[1001/1001] 2 open  999 closed  eta 0s\n"; string(got) != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestETA(t *testing.T) {
	for _, c := range []struct {
		left     int
		perTrial time.Duration
		want     string
	}{{0, time.Second, "0s"}, {1, 1200 * time.Millisecond, "2s"}, {90, time.Second, "1m30s"}, {100, 1250 * time.Millisecond, "3m"},
		{600, 6500 * time.Millisecond, "1h5m"}, {3600, time.Second, "1h"}} {
		p := Progress{total: 1000 + c.left, done: 1000, perTrial: c.perTrial}
		if got := p.eta(); got != c.want {
			t.Errorf("%d trials of %v: %s, want %s", c.left, c.perTrial, got, c.want)
		}
	}
}

// What is to come may turn out to be more or less than was announced, and not to be known.
func TestExpect(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	p := NewProgress(f, false)
	p.Start(30, 0, time.Second)
	for _, next := range []struct {
		more int
		each time.Duration
	}{{30, 0}, {40, 10 * time.Second}, {2, 5 * time.Second}, {1, 0}} {
		p.Expect(next.more, next.each)
		p.Trial("x", "y")
	}
	got, _ := os.ReadFile(f.Name())
	if want := "[1/30] x  y  eta ?\n[2/41] x  y  eta 7m\n[3/4] x  y  eta 5s\n[4/4] x  y  eta 0s\n"; string(got) != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestMoreTrialsThanAnnounced(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	p := NewProgress(f, false)
	p.Start(1, 0, time.Second)
	p.Add(1)
	for range 3 {
		p.Trial("x", "y")
	}
	got, _ := os.ReadFile(f.Name())
	if want := "[1/2] x  y  eta 1s\n[2/2] x  y  eta 0s\n[3/3] x  y  eta 0s\n"; string(got) != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}
