package term

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// terminal opens a pseudo terminal of that many columns. seen closes it and returns what was shown on it.
func terminal(t *testing.T, columns uint16) (tty *os.File, seen func() string) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no pseudo terminal: %v", err)
	}
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	tty, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetWinsize(int(tty.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: columns}); err != nil {
		t.Fatal(err)
	}
	var buf bytes.Buffer
	var wait sync.WaitGroup
	wait.Go(func() { _, _ = buf.ReadFrom(master) }) // ends with EIO when the last tty is closed
	return tty, func() string {
		tty.Close()
		wait.Wait()
		master.Close()
		return buf.String()
	}
}

func TestProgressOnTerminal(t *testing.T) {
	tty, seen := terminal(t, 80)
	if got := Columns(tty); got != 80 {
		t.Fatalf("the terminal has %d columns, want 80", got)
	}
	t.Setenv("LC_ALL", "C.UTF-8")
	p := NewProgress(tty, false)
	p.Start(3, 1, time.Minute)
	p.Trial("target=epoll", "p99=310us")
	p.Warn("block 0 again: steal")
	p.Add(1)
	p.Trial("target=goroutine "+strings.Repeat("long ", 30), "p99=400us")
	p.Trial("last", "p99=1us")
	p.Add(1) // of a bar that is full
	p.Trial("one more", "p99=2us")
	p.Close()
	p.Close()
	got := seen()
	for _, want := range []string{"5/5", "eta 0s", "one more  p99=2us", "block 0 again: steal", "━━━━━━━━━━━━━━━━━━━━"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q was never shown: %q", want, got)
		}
	}
}

func TestScreenOfATerminal(t *testing.T) {
	for list, want := range map[string]Screen{
		"TERM=xterm LANG=C.UTF-8":            {Width: 72, Colour: true},
		"TERM=xterm NO_COLOR=1 LANG=C.UTF-8": {Width: 72},
		"TERM=dumb LANG=C":                   {Width: 72, ASCII: true},
		"LC_ALL=C":                           {Width: 72, Colour: true, ASCII: true},
	} {
		environment(t, list)
		tty, seen := terminal(t, 72)
		if got := ScreenOf(tty); got != want {
			t.Errorf("%q: %+v, want %+v", list, got, want)
		}
		Passing(tty, "measuring")()
		if got := seen(); got != "measuring\r\x1b[K" {
			t.Errorf("%q: what passes leaves %q", list, got)
		}
	}
	var b bytes.Buffer
	if Passing(&b, "measuring")(); b.Len() > 0 {
		t.Errorf("no terminal, but %q", b.String())
	}
}

func TestNoTerminal(t *testing.T) {
	for _, path := range []string{"/dev/null", t.TempDir()} {
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if got := Columns(f); got != 0 {
			t.Errorf("%s is a terminal of %d columns", path, got)
		}
	}
}
