package playbook

import (
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sockbench/sockbench/internal/proc"
	"github.com/sockbench/sockbench/internal/term"
)

// startBlocks are synthetic: in each block units of kind i ended after ended[i] nanoseconds, 1 % more in each further block, and
// ran after a tenth of that; what one kept is that many bytes of each sort.
func startBlocks(n int, ended [4]int64) (blocks []startBlock) {
	for b := range n {
		block := make(startBlock, len(startKinds))
		for i, k := range startKinds {
			s := startSample{Keep: k.Keep, Starter: 10e6, Span: 1e9}
			for range k.Cycles {
				s.Ended = append(s.Ended, ended[i]*int64(100+b)/100)
				s.First = append(s.First, ended[i]*int64(100+b)/1000)
			}
			s.Burst = int64(k.Keep) * 1000
			s.Kept = kept{PSS: int64(k.Keep) * 2000, RSS: int64(k.Keep) * 3000, Tables: int64(k.Keep) * 10, Stacks: int64(k.Keep) * 16384}
			block[i] = s
		}
		blocks = append(blocks, block)
	}
	return blocks
}

func TestJudgeStartCost(t *testing.T) {
	for _, c := range []struct {
		name   string
		blocks int
		ended  [4]int64
		answer Answer
		says   []string
	}{
		{"usual", 20, [4]int64{1000, 50_000, 500_000, 5_000_000}, Holds, []string{"917k goroutines, 18.3k threads, 1.83k forked processes, 183 re-executed processes", "start processes before their connections come", "184MB as goroutines", "20 blocks", "10.0MB RSS"}},
		{"too few blocks", 2, [4]int64{1000, 50_000, 500_000, 5_000_000}, NotShown, []string{"2 blocks did not show that thread costs more than goroutine, or that fork"}},
		{"all the same", 20, [4]int64{1000, 1000, 1000, 1000}, NotShown, nil},
		{"forks are cheap", 20, [4]int64{1000, 50_000, 20_000, 5_000_000}, Refuted, []string{"Shown is: fork costs less than thread."}},
	} {
		v := judgeStartCost(startBlocks(c.blocks, c.ended))
		all := strings.Join(v.Because, "\n")
		if v.Answer != c.answer || strings.Contains(all, "Doubt") {
			t.Errorf("%s: %s: %s", c.name, v.Answer, all)
		}
		for _, s := range c.says {
			if !strings.Contains(all, s) {
				t.Errorf("%s: it does not say %q: %s", c.name, s, all)
			}
		}
	}

	blocks := startBlocks(20, [4]int64{1000, 50_000, 500_000, 5_000_000})
	blocks[3][2].Foreign = 20e9
	v := judgeStartCost(blocks)
	if last := v.Because[len(v.Because)-1]; !strings.Contains(last, "Doubt: others used 25.0% of a CPU") {
		t.Errorf("%s", last)
	}
	f := v.Figures.([]startFigures)[1]
	if f.Ended.Count != 2000 || f.Ended.P99 == nil || f.Ended.Min != 50_000 || f.First.Max != 5950 || f.Together != 1000 {
		t.Errorf("%+v", f)
	}
	if f.User != 2000 || f.RSS != 3000 || f.Tables != 10 || f.Stacks != 16384 {
		t.Errorf("%+v", f)
	}
	if r := f.Ratio; r.Ratio < 49.9 || r.Ratio > 50.1 || r.Low > r.Ratio || r.High < r.Ratio || r.Level < .99 {
		t.Errorf("%+v", r)
	}
	if row := v.Table.Rows[1]; row[0] != "thread" || row[5] != "2.00k" || row[11] != "16.4kB" {
		t.Errorf("%v", row)
	}
	if few := judgeStartCost(blocks[:1]); few.Table.Rows[3][4] != "–" || few.Table.Rows[3][6] != "–" {
		t.Errorf("20 cycles support no p99, and one block no interval: %v", few.Table.Rows[3])
	}
}

// What is measured here and now, of two blocks: enough for the orders of magnitude, and for what the kernel says exactly.
func TestMeasureStartCost(t *testing.T) {
	if testing.Short() {
		t.Skip("with the race detector, every process takes a second to end and a goroutine 19 kB: run without -short")
	}
	before := proc.Descendants(os.Getpid())
	v, err := measureStartCost(t.Context(), 2, term.NewProgress(io.Discard, true))
	if err != nil {
		t.Fatal(err)
	}
	f := v.Figures.([]startFigures)
	for i, k := range startKinds {
		// Go does not end the first thread of a process: a cycle that meets it does not count.
		if n := f[i].Ended.Count; n > int64(2*k.Cycles) || n < int64(2*k.Cycles-2) || f[i].First.Count != n {
			t.Errorf("%s: %d cycles of %d", k.Kind, n, 2*k.Cycles)
		}
		if f[i].First.Min <= 0 || f[i].First.Min >= f[i].Ended.Min || *f[i].First.P50 >= *f[i].Ended.P50 || f[i].Together <= 0 {
			t.Errorf("%s: first %+v, ended %+v, together %v", k.Kind, f[i].First, f[i].Ended, f[i].Together)
		}
		if i > 0 && *f[i].Ended.P50 < 2**f[i-1].Ended.P50 {
			t.Errorf("%s takes %d ns, %s %d", k.Kind, *f[i].Ended.P50, startKinds[i-1].Kind, *f[i-1].Ended.P50)
		}
	}
	if g := f[0]; g.User < 2048 || g.User > 8192 { // its stack is 2 KiB
		t.Errorf("a goroutine takes %.0f bytes", g.User)
	}
	if th := f[1]; th.Stacks < 8<<10 || th.Stacks > 40<<10 { // 16 KiB, and what others start and end meanwhile
		t.Errorf("the kernel stack of a thread takes %.0f bytes", th.Stacks)
	}
	if fork := f[2]; fork.RSS < 1<<20 || fork.User > fork.RSS/4 || fork.Tables < 4<<10 { // it shares nearly all
		t.Errorf("a forked process: %+v", fork)
	}
	if again := f[3]; again.RSS < 2<<20 || again.Stacks < 32<<10 { // threads of its own
		t.Errorf("a re-executed process: %+v", again)
	}
	if after := proc.Descendants(os.Getpid()); !slices.Equal(before, after) {
		t.Errorf("left behind: %v, before %v", after, before)
	}
}

func TestMeasureIsInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(300*time.Millisecond, cancel)
	began := time.Now()
	if _, err := measureStartCost(ctx, 1000, term.NewProgress(io.Discard, true)); !errors.Is(err, context.Canceled) || time.Since(began) > 10*time.Second {
		t.Errorf("%v after %s", err, time.Since(began))
	}
}
