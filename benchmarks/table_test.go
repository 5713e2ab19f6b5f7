package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestVerdicts(t *testing.T) {
	for _, c := range []struct {
		r    row
		want string
	}{
		{row{goal: atMost(1.03), got: estimate{value: 1.03}}, "met"},
		{row{goal: atMost(1.03), got: estimate{value: 1.031, low: 1}}, "**not met**"},
		{row{goal: below(100), got: estimate{value: 100}}, "**not met**"},
		{row{goal: below(100), got: estimate{value: 99}}, "met"},
		{row{goal: below(100), got: estimate{value: 1}, spoilt: "too slow"}, "not measured: too slow"},
	} {
		if got := c.r.met(); got != c.want {
			t.Errorf("%+v: %q, want %q", c.r, got, c.want)
		}
	}
}

func TestRewrite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "README.md")
	before, after := "above\n\n", "\nbelow\n"
	for _, text := range []string{"one\n", "two\n"} {
		if text == "one\n" {
			if err := os.WriteFile(path, []byte(before+marker+marker+after), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if err := rewrite(path, text); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if want := before + marker + "\n" + text + "\n" + marker + after; string(got) != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if err := os.WriteFile(path, []byte(marker), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := rewrite(path, "x"); err == nil || !strings.Contains(err.Error(), "not 2") {
		t.Errorf("one marker: error %v", err)
	}
}
