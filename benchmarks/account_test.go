package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What was measured replaces what the file said of its goals, and nothing else in it.
func TestRewrite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "README.md")
	before, after := "above\n\n- P1: above\n\n", "\nbelow\n"
	if err := os.WriteFile(path, []byte(before+marker+marker+after), 0o644); err != nil {
		t.Fatal(err)
	}
	of := func(code string, value float64) row {
		return row{code, claim{"what " + code, atMost(2), ratio},
			figure{got: estimate{n: 20, value: value, low: 1, high: 3}, how: []string{"`run " + code + ": x`"}, note: "note " + ratio(value)}}
	}
	put := func(in occasion, rows ...row) string {
		t.Helper()
		a := account{}
		a.add(rows, in)
		if err := rewrite(path, a); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	first, second := occasion{"Measured once at commit a", "- Machine: m.\n- Seed: 1.\n"}, occasion{"Measured again at commit b", "- Machine: n.\n- Seed: 2.\n"}
	put(first, of("P1", 1), of("P1", 1.1), of("P7", 1), of("P10", 1))
	got := put(second, of("P7", 2.5))
	want := before + marker + "\n" + tableHead + `| P1 | what P1 | ≤ 2.000 | **1.000** | 1.000 – 3.000 | 20 | met | 0 % |
| P1 | what P1 | ≤ 2.000 | **1.100** | 1.000 – 3.000 | 20 | met | 0 % |
| P7 | what P7 | ≤ 2.000 | **2.500** | 1.000 – 3.000 | 20 | **not met** | 0 % |
| P10 | what P10 | ≤ 2.000 | **1.000** | 1.000 – 3.000 | 20 | met | 0 % |
` + commandsHead + "- P1: `run P1: x` (note 1.000)\n- P1: `run P1: x` (note 1.100)\n- P7: `run P7: x` (note 2.500)\n- P10: `run P10: x` (note 1.000)\n" + `
Measured once at commit a: P1, P10.

- Machine: m.
- Seed: 1.

Measured again at commit b: P7.

- Machine: n.
- Seed: 2.
` + "\n" + marker + after
	if got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	got = put(first, of("P7", 1))
	if want := "commit a: P1, P7, P10.\n"; !strings.Contains(got, want) || strings.Contains(got, "commit b") {
		t.Errorf("no line %q, or a run of which nothing is left, in:\n%s", want, got)
	}
	if err := os.WriteFile(path, []byte(marker), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := rewrite(path, account{}); err == nil || !strings.Contains(err.Error(), "not 2") {
		t.Errorf("one marker: error %v", err)
	}
}
