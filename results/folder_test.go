package results

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/sockbench/sockbench/plan"
)

// small is a record of few bytes.
func small(x plan.Trial) Record { return failed(x, "nothing <came> of it") }

func newRun(t *testing.T, p *plan.Plan) (*Log, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "deep", "run")
	l, err := Create(dir, Manifest{Plan: p, Versions: map[string]string{"sockbench": "test"}, Machine: json.RawMessage(`{"cpu":"one"}`), Started: time.Unix(1e9, 0).UTC()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l, dir
}

func TestRunFolderReadsBack(t *testing.T) {
	p := newPlan(t, 2)
	l, dir := newRun(t, p)
	var want []Record
	for _, x := range p.Block(0, 0) {
		r := fine(x, 20_000)
		r.Metrics.Validity = Judge(&r)
		want = append(want, r)
	}
	want = append(want, small(p.Block(1, 0)[0]))
	for _, r := range want {
		if err := l.Append(r); err != nil {
			t.Fatal(err)
		}
	}
	run, err := Open(dir) // while the writer is still there
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(run.Records, want) || run.Torn || len(run.Damaged) > 0 {
		t.Errorf("records read back as %+v (torn %v, damaged %v)", run.Records, run.Torn, run.Damaged)
	}
	m := run.Manifest
	if m.Schema != Schema || m.Digest != p.Digest() || m.Seed != p.Seed || m.Plan.Digest() != p.Digest() || m.Versions["sockbench"] != "test" ||
		!bytes.Contains(m.Machine, []byte(`"one"`)) || !m.Started.Equal(time.Unix(1e9, 0)) {
		t.Errorf("manifest reads back as %+v", m)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if err := l.Close(); err != nil {
		t.Errorf("closed twice: %v", err)
	}
}

func TestCreateTakesNoFolderThatHoldsAnything(t *testing.T) {
	p := newPlan(t, 1)
	dir := t.TempDir() // empty: fine
	l, err := Create(dir, Manifest{Plan: p})
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	before, _ := os.ReadFile(filepath.Join(dir, manifestFile))
	if _, err := Create(dir, Manifest{Plan: newPlan(t, 5)}); err == nil || !strings.Contains(err.Error(), "not empty") || !strings.Contains(err.Error(), "--resume") {
		t.Errorf("a second run in the same folder: %v", err)
	}
	if after, _ := os.ReadFile(filepath.Join(dir, manifestFile)); !bytes.Equal(before, after) {
		t.Error("the first run's manifest was overwritten")
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Create(file, Manifest{Plan: p}); err == nil {
		t.Error("a file was taken for a folder")
	}
	for _, dir := range []string{t.TempDir(), filepath.Join(t.TempDir(), "none")} {
		if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), "no run folder") {
			t.Errorf("opening what is no run folder: %v", err)
		}
		if _, _, err := Resume(dir); err == nil || !strings.Contains(err.Error(), "no run folder") {
			t.Errorf("resuming what is no run folder: %v", err)
		}
	}
}

func TestTwoWriters(t *testing.T) {
	p := newPlan(t, 1)
	l, dir := newRun(t, p)
	if _, _, err := Resume(dir); err == nil || !strings.Contains(err.Error(), "another process is writing") {
		t.Fatalf("a second writer: %v", err)
	}
	if err := l.Append(small(p.Block(0, 0)[0])); err != nil {
		t.Fatal(err)
	}
	l.Close()
	again, run, err := Resume(dir)
	if err != nil || len(run.Records) != 1 {
		t.Fatalf("after the first is gone: %v", err)
	}
	defer again.Close()
	if _, _, err := Resume(dir); err == nil {
		t.Error("two writers share a folder that was resumed")
	}
}

// TestTornAtEveryByte cuts the last line after each of its bytes.
func TestTornAtEveryByte(t *testing.T) {
	p := newPlan(t, 2)
	l, dir := newRun(t, p)
	var all []Record
	for _, x := range append(p.Block(0, 0), p.Block(1, 0)...)[:3] {
		all = append(all, small(x))
	}
	for _, r := range all {
		if err := l.Append(r); err != nil {
			t.Fatal(err)
		}
	}
	l.Close()
	path := filepath.Join(dir, trialsFile)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	whole := bytes.LastIndexByte(data[:len(data)-1], '\n') + 1
	for cut := whole; cut <= len(data); cut++ {
		if err := os.WriteFile(path, data[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		want, torn := all[:2], cut != whole
		if cut == len(data) {
			want, torn = all, false
		}
		run, err := Open(dir)
		if err != nil || !reflect.DeepEqual(run.Records, want) || run.Torn != torn || len(run.Damaged) > 0 {
			t.Fatalf("cut after %d of %d bytes: read %d records, torn %v, damaged %v, %v", cut-whole, len(data)-whole, len(run.Records), run.Torn, run.Damaged, err)
		}
		if now, _ := os.ReadFile(path); len(now) != cut {
			t.Fatal("a reader changed the file")
		}
		log, run, err := Resume(dir)
		if err != nil || !reflect.DeepEqual(run.Records, want) {
			t.Fatalf("cut after %d bytes: resumed with %d records, %v", cut-whole, len(run.Records), err)
		}
		if len(want) == 2 {
			if err := log.Append(all[2]); err != nil {
				t.Fatal(err)
			}
		}
		log.Close()
		if now, _ := os.ReadFile(path); !bytes.Equal(now, data) {
			t.Fatalf("cut after %d bytes and resumed, the file is\n%s\nwant\n%s", cut-whole, now, data)
		}
	}
}

func TestDamagedLinesAreReportedAndKept(t *testing.T) {
	p := newPlan(t, 1)
	l, dir := newRun(t, p)
	r := small(p.Block(0, 0)[0])
	if err := l.Append(r); err != nil {
		t.Fatal(err)
	}
	l.Close()
	path := filepath.Join(dir, trialsFile)
	line, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	second := small(p.Block(0, 0)[1])
	other, err := json.Marshal(second)
	if err != nil {
		t.Fatal(err)
	}
	other = append(other, '\n')
	foreign := bytes.Replace(other, []byte(second.ID), []byte("0123456789abcdef"), 1)
	lines := [][]byte{line, []byte("{\"half\n"), []byte("\n"), line, []byte("{}\n"), bytes.Replace(other, []byte(`"schema":1`), []byte(`"schema":99`), 1),
		bytes.Replace(other, []byte(`"error"`), []byte(`"err"`), 1), foreign, other}
	if err := os.WriteFile(path, bytes.Join(lines, nil), 0o600); err != nil {
		t.Fatal(err)
	}
	run, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(run.Records) != 2 || run.Records[0].ID != r.ID || run.Records[1].ID != second.ID {
		t.Errorf("read %d records, want the first and the last line", len(run.Records))
	}
	for i, says := range []string{":2:", ":3:", ":4: trial " + r.ID, ":5: it is no trial", ":6: schema 99", ":7: a trial has either", ":8: trial 0123456789abcdef is of another plan"} {
		if i >= len(run.Damaged) || !strings.Contains(run.Damaged[i].Error(), trialsFile+says) {
			t.Errorf("damaged %v: no %q", run.Damaged, says)
		}
	}
	log, _, err := Resume(dir)
	if err != nil {
		t.Fatal(err)
	}
	log.Close()
	if now, _ := os.ReadFile(path); !bytes.Equal(now, bytes.Join(lines, nil)) {
		t.Error("resuming threw damaged lines away")
	}
}

func TestResumeWantsTheSameExperiment(t *testing.T) {
	l, dir := newRun(t, newPlan(t, 1))
	l.Close()
	path := filepath.Join(dir, manifestFile)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, bytes.Replace(data, []byte(`"on"`), []byte(`"on@established"`), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Resume(dir); err == nil || !strings.Contains(err.Error(), "digest") {
		t.Errorf("a plan that was changed: %v", err)
	}
	if _, err := Open(dir); err != nil {
		t.Errorf("it can still be read: %v", err)
	}
	if err := os.WriteFile(path, bytes.Replace(data, []byte(`"schema": 1`), []byte(`"schema": 2`), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), "newer sockbench") {
		t.Errorf("a manifest of a later schema: %v", err)
	}
}
