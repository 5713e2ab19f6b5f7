package proc

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestUsage(t *testing.T) {
	self, err := SelfUsage()
	if err != nil {
		t.Fatal(err)
	}
	tree := TreeUsage([]int{os.Getpid()})
	// They differ by what is used between the two, and by ended children, which have another resolution.
	if d := tree.User + tree.System - self.User - self.System; d.Abs() > 30*time.Millisecond {
		t.Errorf("self %v+%v, tree %v+%v", self.User, self.System, tree.User, tree.System)
	}
	if self.MaxRSS < 1<<20 || tree.MaxRSS < self.MaxRSS || self.Threads < 2 || self.Voluntary == 0 || tree.Voluntary == 0 {
		t.Errorf("self %+v, tree %+v", self, tree)
	}
	if u := TreeUsage([]int{1 << 30}); u != (Usage{}) {
		t.Errorf("nobody used %+v", u)
	}
}

// A tree is charged for its children, living and ended, to the millisecond for the living.
func TestTreeUsage(t *testing.T) {
	tree := startTree(t, `i=0; (while [ $i -lt 60000 ]; do i=$((i+1)); done); while :; do :; done`)
	before := TreeUsage(tree.PIDs())
	start := time.Now()
	time.Sleep(400 * time.Millisecond)
	after := TreeUsage(tree.PIDs())
	used, took := after.User+after.System-before.User-before.System, time.Since(start)
	if used < 5*time.Millisecond || // on a machine that others use too
		used > took*5/4 {
		t.Errorf("a busy loop used %v in %v", used, took)
	}
	if after.Threads < 1 || after.MaxRSS < 100<<10 {
		t.Errorf("%+v", after)
	}
}

func TestDescendants(t *testing.T) {
	tree := startTree(t, `(sleep 100 & wait) & wait`)
	atLeast(t, tree, 3)
	self := os.Getpid()
	all := Descendants(self)
	for _, pid := range tree.PIDs() {
		if !slices.Contains(all, pid) {
			t.Errorf("%d is not in %v", pid, all)
		}
	}
	a, b := Children(self), childrenByScan(self)
	slices.Sort(a)
	slices.Sort(b)
	if !slices.Equal(a, b) {
		t.Errorf("children: %v by lists, %v by scan", a, b)
	}
}

func TestTail(t *testing.T) {
	var b Tail
	if b.String() != "" {
		t.Errorf("empty: %q", b.String())
	}
	b.Write([]byte("one\ntwo\n"))
	if b.String() != "one\ntwo" {
		t.Errorf("%q", b.String())
	}
	for _, size := range []int{1, 7, 1000, tailBytes, 3*tailBytes + 5} {
		for range 40 {
			b.Write([]byte(strings.Repeat("x", size-1) + "\n"))
		}
		b.Write([]byte("last\n"))
		if got := b.String(); !strings.HasSuffix(got, "\nlast") || len(got) > tailBytes || strings.Count(got, "\n") >= tailLines {
			t.Errorf("after lines of %d: %d bytes", size, len(got))
		}
	}
	b.Write([]byte("panic: here\n" + strings.Repeat("stack\n", 100)))
	if got := b.String(); !strings.HasPrefix(got, "panic: here\nstack") || strings.Count(got, "\n") != tailLines-1 {
		t.Errorf("%q", got)
	}
}
