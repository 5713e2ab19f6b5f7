package results

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/sockbench/sockbench/plan"
	"github.com/sockbench/sockbench/unit"
)

// What a run folder holds.
const (
	manifestFile = "manifest.json"
	trialsFile   = "trials.jsonl"
)

// Manifest says what a run folder's trials are of.
type Manifest struct {
	Schema   int               `json:"schema"`
	Versions map[string]string `json:"versions"` // of sockbench, Go, the kernel, …
	Plan     *plan.Plan        `json:"plan"`
	Digest   string            `json:"digest"` // of the plan, by the build that wrote it
	Seed     uint64            `json:"seed"`
	Until    unit.Share        `json:"until,omitzero"`   // the precision that ends the run before its last block; 0: none
	Check    *Checking         `json:"check,omitempty"`  // nil: it is no check
	Search   *Search           `json:"search,omitempty"` // nil: it is no search
	Machine  json.RawMessage   `json:"machine"`          // its fingerprint, as the caller took it
	Started  time.Time         `json:"started"`
}

// Checking says that a run is a check, and what its two sides were built from, if they were.
type Checking struct {
	Old   string `json:"old,omitempty"` // commits
	New   string `json:"new,omitempty"`
	Build string `json:"build,omitempty"`
}

// Search says that a run chooses its trials by what it has seen, to find something within the limits of its plan.
type Search struct {
	Strategy string `json:"strategy"`         // race or CapacitySearch
	Goal     string `json:"goal,omitempty"`   // the metric to be best at
	Trials   int    `json:"trials,omitempty"` // at most; of a capacity: of each cell
	Pairs    int    `json:"pairs,omitempty"`  // at most, to confirm what was found
}

// Log is the one writer of a run folder. Not safe for concurrent use.
type Log struct {
	path string
	file *os.File
	size int64 // of the whole lines
}

// Create makes a run folder at dir, which must not exist yet or be empty, and holds its lock until Close.
// Schema, Digest and Seed of the manifest are filled in.
func Create(dir string, m Manifest) (*Log, error) {
	if m.Plan == nil {
		return nil, fmt.Errorf("create %s: no plan", dir)
	}
	m.Schema, m.Digest, m.Seed = Schema, m.Plan.Digest(), m.Plan.Seed
	if m.Machine == nil {
		m.Machine = json.RawMessage("null")
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, fmt.Errorf("create run folder: %w", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("create run folder: %w", err)
	}
	if len(entries) > 0 {
		return nil, fmt.Errorf("%s is not empty: name a new folder, or go on with the run in it by --resume %s", dir, dir)
	}
	l, err := openLog(dir, os.O_CREATE|os.O_EXCL)
	if err != nil {
		return nil, err
	}
	if err := writeManifest(dir, m); err != nil {
		return nil, errors.Join(err, l.Close(), os.Remove(l.path))
	}
	return l, nil
}

// openLog opens the trials of dir for this process alone.
func openLog(dir string, flags int) (*Log, error) {
	l := &Log{path: filepath.Join(dir, trialsFile)}
	var err error
	if l.file, err = os.OpenFile(l.path, os.O_RDWR|os.O_APPEND|flags, 0o666); err != nil {
		return nil, fmt.Errorf("open run folder: %w", err)
	}
	if err := lock(l.file); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", dir, err), l.file.Close())
	}
	return l, nil
}

// writeManifest puts the file there whole or not at all.
func writeManifest(dir string, m Manifest) error {
	data, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return fmt.Errorf("manifest of %s: %w", dir, err)
	}
	path := filepath.Join(dir, manifestFile)
	if err := writeSynced(path+".new", append(data, '\n')); err != nil {
		return errors.Join(err, os.Remove(path+".new"))
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("write manifest: %w", err)
	}
	return syncDir(dir)
}

func writeSynced(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return fmt.Errorf("write manifest: %w", err)
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write manifest: %w", err)
	}
	return nil
}

// syncDir makes the names in dir outlive a power failure.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("sync run folder: %w", err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("sync run folder: %w", err)
	}
	return nil
}

// Append adds one line: it is there whole and outlives a power failure, or it is not there and the error names the file.
func (l *Log) Append(r Record) error {
	line, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("append to %s: %w", l.path, err)
	}
	line = append(line, '\n')
	n, err := l.file.Write(line)
	if err == nil && n < len(line) {
		err = io.ErrShortWrite
	}
	if err == nil {
		err = l.file.Sync()
	}
	if err != nil {
		err = fmt.Errorf("append to %s: %w", l.path, err)
		if cut := l.file.Truncate(l.size); cut != nil {
			err = errors.Join(err, fmt.Errorf("take the partial line away: %w", cut))
		}
		return err
	}
	l.size += int64(len(line))
	return nil
}

// Close gives up the folder. Twice is fine.
func (l *Log) Close() error {
	if err := l.file.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
		return fmt.Errorf("close %s: %w", l.path, err)
	}
	return nil
}

// Resume opens a run folder to go on with it: takes its lock, cuts a torn last line off and returns what is done.
// A plan that this build would run otherwise than the one that began is an error.
func Resume(dir string) (*Log, *Run, error) {
	m, err := ReadManifest(dir)
	if err != nil {
		return nil, nil, err
	}
	if now := m.Plan.Digest(); now != m.Digest {
		return nil, nil, fmt.Errorf("resume %s: the plan's digest is %.12s and was %.12s: this build would run other trials than the one that began; start anew",
			dir, now, m.Digest)
	}
	l, err := openLog(dir, os.O_CREATE)
	if err != nil {
		return nil, nil, err
	}
	run := &Run{Dir: dir, Manifest: m}
	if l.size, err = run.read(l.file); err == nil && run.Torn {
		if err = l.file.Truncate(l.size); err == nil {
			err = l.file.Sync()
		}
	}
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("resume %s: %w", l.path, err), l.Close())
	}
	return l, run, nil
}

// Continue goes on with the run folder at dir, which must be of m's plan, or makes it where it is not there, or where its
// making was cut short.
func Continue(dir string, m Manifest) (*Log, []Record, error) {
	if _, err := os.Stat(filepath.Join(dir, manifestFile)); errors.Is(err, fs.ErrNotExist) {
		trials := filepath.Join(dir, trialsFile)
		if info, err := os.Stat(trials); err == nil && info.Size() == 0 {
			if err := os.Remove(trials); err != nil {
				return nil, nil, fmt.Errorf("create run folder: %w", err)
			}
		}
		if err := os.Remove(filepath.Join(dir, manifestFile+".new")); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, nil, fmt.Errorf("create run folder: %w", err)
		}
		l, err := Create(dir, m)
		return l, nil, err
	}
	l, run, err := Resume(dir)
	if err == nil && run.Manifest.Digest != m.Plan.Digest() {
		err = errors.Join(fmt.Errorf("%s holds trials of another plan: remove it", dir), l.Close())
	}
	if err != nil {
		return nil, nil, err
	}
	return l, run.Records, nil
}
