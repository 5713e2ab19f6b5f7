package results

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	jsonv2 "github.com/go-json-experiment/json"

	"github.com/sockbench/sockbench/plan"
)

// damagedMost is how many damaged lines are told one by one: a file of the wrong kind has as many as lines.
const damagedMost = 8

// Run is a run folder that was read.
type Run struct {
	Dir      string
	Manifest Manifest
	Records  []Record // in the order they were written
	Damaged  []error  // lines that were left out, each with its number: the first of them
	More     int      // how many more were left out
	Torn     bool     // the last line was cut short while it was written, and left out
}

// Open reads a run folder, also while it is being written.
func Open(dir string) (*Run, error) {
	m, err := ReadManifest(dir)
	if err != nil {
		return nil, err
	}
	run := &Run{Dir: dir, Manifest: m}
	f, err := os.Open(filepath.Join(dir, trialsFile))
	if errors.Is(err, fs.ErrNotExist) {
		return run, nil
	}
	if err != nil {
		return nil, fmt.Errorf("open run folder: %w%s", err, allowed(err, dir))
	}
	_, err = run.read(f)
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("read %s: %w", f.Name(), err)
	}
	return run, nil
}

// allowed is what to do about a missing permission.
func allowed(err error, dir string) string {
	if errors.Is(err, fs.ErrPermission) {
		return ": read it as its owner, or let others: chmod -R a+rX " + dir
	}
	return ""
}

// ReadManifest reads what a run folder's trials are of, and not the trials.
func ReadManifest(dir string) (m Manifest, err error) {
	path := filepath.Join(dir, manifestFile)
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return m, fmt.Errorf("%s is no run folder: it holds no %s; name the folder that a run wrote to", dir, manifestFile)
	}
	if err != nil {
		return m, fmt.Errorf("open run folder: %w%s", err, allowed(err, dir))
	}
	var head struct{ Schema int }
	if err = json.Unmarshal(data, &head); err == nil {
		if head.Schema > Schema {
			return m, fmt.Errorf("%s has schema %d, this build reads up to %d: use a newer sockbench", path, head.Schema, Schema)
		}
		err = json.Unmarshal(data, &m)
	}
	if err == nil && m.Plan == nil {
		err = errors.New("it holds no plan")
	}
	if err != nil {
		return m, fmt.Errorf("%s: it is damaged, and without it nobody knows what the trials are of: %w", path, err)
	}
	return m, nil
}

// read takes in every whole line of r and returns how many bytes those are. A line that is no record is left out, and
// so is a second one of the same trial and attempt. Lines are parsed on all CPUs, and kept no longer than that takes.
func (run *Run) read(r io.Reader) (size int64, err error) {
	type key struct {
		id      string
		attempt int
	}
	seen := map[key]bool{}
	l := &lineReader{r: bufio.NewReaderSize(r, 1<<16)}
	for b := range l.parsed(runtime.GOMAXPROCS(0)) {
		for i, rec := range b.records {
			err := b.errs[i]
			k := key{rec.ID, rec.Attempt}
			if err == nil && rec.ID != plan.ID(run.Manifest.Digest, rec.Block, rec.Cell) {
				err = fmt.Errorf("trial %s is of another plan than %s is: it was copied here, or changed", rec.ID, manifestFile)
			}
			if err == nil && seen[k] {
				err = fmt.Errorf("trial %s, attempt %d, is there twice", rec.ID, rec.Attempt)
			}
			if err != nil {
				run.leaveOut(fmt.Errorf("%s:%d: %w", filepath.Join(run.Dir, trialsFile), b.first+i, err))
				continue
			}
			seen[k] = true
			run.Records = append(run.Records, rec)
		}
	}
	run.Torn = l.torn
	return l.size, l.err
}

// leaveOut notes why a line is no record.
func (run *Run) leaveOut(why error) {
	if len(run.Damaged) == damagedMost {
		run.More++
		return
	}
	run.Damaged = append(run.Damaged, why)
}

// LeftOut says, a line for each, what of the folder could not be used.
func (run *Run) LeftOut() (lines []string) {
	file := filepath.Join(run.Dir, trialsFile)
	for _, why := range run.Damaged {
		lines = append(lines, "left out: "+why.Error())
	}
	if run.More > 0 {
		lines = append(lines, fmt.Sprintf("left out: %d more lines of %s", run.More, file))
	}
	if run.Torn {
		lines = append(lines, "left out: the last line of "+file+": it was cut short while it was written")
	}
	return lines
}

func parseLine(line []byte, how jsonv2.Options) (r Record, err error) {
	if err := jsonv2.Unmarshal(line, &r, how); err != nil {
		return r, fmt.Errorf("it is damaged: %w", err)
	}
	switch {
	case r.Schema > Schema:
		return r, fmt.Errorf("schema %d is newer than this build reads: use a newer sockbench", r.Schema)
	case r.ID == "":
		return r, errors.New("it is no trial: it has no id")
	case (r.Metrics == nil) == (r.Error == ""):
		return r, errors.New("a trial has either metrics or an error")
	}
	return r, nil
}
