package proc

import (
	"strings"
	"sync"
)

// What Tail keeps, and what its String shows of it.
const (
	tailBytes = 16 << 10
	tailLines = 20
)

// Tail keeps the last 16 KiB written to it. The zero value is empty. It is safe for concurrent use.
type Tail struct {
	mu   sync.Mutex
	ring []byte // grows to tailBytes, then is written round
	next int    // where the oldest byte is, once ring is full
}

// Write never fails.
func (t *Tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := len(p)
	if room := tailBytes - len(t.ring); room > 0 {
		grow := min(room, len(p))
		t.ring, p = append(t.ring, p[:grow]...), p[grow:]
	}
	if len(p) > tailBytes {
		p = p[len(p)-tailBytes:]
	}
	for len(p) > 0 {
		c := copy(t.ring[t.next:], p)
		t.next, p = (t.next+c)%tailBytes, p[c:]
	}
	return n, nil
}

// String is the last 20 lines, without the final newline. Of a Go program that crashed it is the message and the first
// lines of its stack, which would otherwise be lost behind the stacks of its other goroutines.
func (t *Tail) String() string {
	t.mu.Lock()
	text := string(t.ring[t.next:]) + string(t.ring[:t.next])
	t.mu.Unlock()
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	if len(lines) <= tailLines {
		return strings.Join(lines, "\n")
	}
	for i, line := range lines {
		if strings.HasPrefix(line, "panic: ") || strings.HasPrefix(line, "fatal error: ") {
			return strings.Join(lines[i:min(i+tailLines, len(lines))], "\n")
		}
	}
	return strings.Join(lines[len(lines)-tailLines:], "\n")
}
