package loadgen

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sockbench/sockbench/unit"
)

// Bounds of a trace. With them it fits in one message to a load process.
const (
	maxOffsets    = 1_000_000
	maxTraceBytes = 32 << 20
)

// traced is a trace that was read: the path and the digest of what the file held. The digest is a part of the level, and
// so of the plan's digest: another content is another experiment.
var traced = regexp.MustCompile(`^(/.*)#([0-9a-f]{16})$`)

// readTraceName reads the file, unless its digest stands behind the name: it was read when the plan was made.
func readTraceName(arg string) (shape, error) {
	s := shape{arg: arg, schedule: newTrace}
	if traced.MatchString(arg) {
		return s, nil
	}
	_, digest, err := readTrace(arg)
	if err != nil {
		return s, err
	}
	path, err := filepath.Abs(arg)
	if err != nil {
		return s, fmt.Errorf("trace %s: %w", arg, err)
	}
	s.arg = path + "#" + digest
	return s, nil
}

// ReadTrace is the offsets of a load whose arrivals are a trace, ascending; of any other it is nil. The caller reads
// them because a load process may not: it has rights of its own. An error says that the file is not what it was when
// the plan was made, or that it lets no request be due in the measure phase.
func ReadTrace(s Spec) ([]time.Duration, error) {
	if s.Arrivals.Law != "trace" {
		return nil, nil
	}
	was := traced.FindStringSubmatch(s.Arrivals.Arg)
	if was == nil {
		return nil, fmt.Errorf("trace %s: it was not read when the plan was made", s.Arrivals.Arg)
	}
	offsets, digest, err := readTrace(was[1])
	if err != nil {
		return nil, err
	}
	if digest != was[2] {
		return nil, fmt.Errorf("trace %s is another one than when the plan was made (its digest is %s and was %s): name it anew", was[1], digest, was[2])
	}
	begin, end := time.Duration(s.Warmup), time.Duration(s.Warmup+s.Duration)
	if !slices.ContainsFunc(offsets, func(at time.Duration) bool { return at >= begin && at < end }) {
		return nil, fmt.Errorf("trace %s has no request due in the measure phase, which is from %s to %s: its offsets are from %s to %s",
			was[1], unit.Duration(begin), unit.Duration(end), unit.Duration(offsets[0]), unit.Duration(offsets[len(offsets)-1]))
	}
	return offsets, nil
}

// readTrace reads a file of offsets, at least one.
func readTrace(path string) (offsets []time.Duration, digest string, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, "", fmt.Errorf("trace: %w", err)
	}
	if !info.Mode().IsRegular() { // it is read again for every trial
		return nil, "", fmt.Errorf("trace %s is no regular file: write the offsets to one", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, "", fmt.Errorf("trace: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxTraceBytes+1))
	if err != nil {
		return nil, "", fmt.Errorf("trace: %w", err)
	}
	if len(data) > maxTraceBytes {
		return nil, "", fmt.Errorf("trace %s is larger than %s: leave comments out, or make several of it", path, unit.Bytes(maxTraceBytes))
	}
	offsets, line, err := parseTrace(data)
	if err != nil {
		return nil, "", fmt.Errorf("trace %s:%d: %w", path, line, err)
	}
	sum := sha256.Sum256(data)
	return offsets, hex.EncodeToString(sum[:8]), nil
}

// parseTrace reads one offset a line; # begins a comment. line is where an error is.
func parseTrace(data []byte) (offsets []time.Duration, line int, err error) {
	for text := range bytes.Lines(data) {
		line++
		text, _, _ = bytes.Cut(text, []byte("#"))
		if text = bytes.TrimSpace(text); len(text) == 0 {
			continue
		}
		at, err := parseOffset(string(text))
		if err != nil {
			return nil, line, err
		}
		if n := len(offsets); n > 0 && at < offsets[n-1] {
			return nil, line, fmt.Errorf("%s is before the offset above it, %s: sort them", unit.Duration(at), unit.Duration(offsets[n-1]))
		}
		if len(offsets) == maxOffsets {
			return nil, line, fmt.Errorf("there are more than %d offsets: make several traces of it", maxOffsets)
		}
		offsets = append(offsets, at)
	}
	if len(offsets) == 0 {
		return nil, max(line, 1), errors.New("no offset stands here: write one a line, 0.0015 (seconds) or 1.5ms")
	}
	return offsets, 0, nil
}

// parseOffset reads seconds, or a duration with its unit.
func parseOffset(text string) (time.Duration, error) {
	if seconds, err := strconv.ParseFloat(text, 64); err == nil {
		if ns := math.Round(seconds * 1e9); ns >= 0 && ns < math.MaxInt64 {
			return time.Duration(ns), nil
		}
	} else {
		var d unit.Duration
		if d.UnmarshalText([]byte(text)) == nil {
			return time.Duration(d), nil
		}
	}
	return 0, fmt.Errorf("%.40q is no offset: write seconds, as 0.0015, or a duration, as 1.5ms", strings.ToValidUTF8(text, "\ufffd"))
}

// trace is a shard of the offsets before the end.
type trace struct {
	offsets []time.Duration
	end     time.Duration
	n, step int
}

func newTrace(d Demand) Schedule {
	return &trace{offsets: d.Trace, end: d.Length, n: d.Shard, step: d.Of}
}

func (t *trace) Next() (time.Duration, bool) {
	if t.n >= len(t.offsets) || t.offsets[t.n] >= t.end {
		return 0, false
	}
	at := t.offsets[t.n]
	t.n += t.step
	return at, true
}
