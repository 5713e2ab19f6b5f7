package main

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/sockbench/sockbench/verify"
)

// Every test is listed, and stands in docs/verify.md.
func TestVerifyList(t *testing.T) {
	code, stdout, stderr := here(t, "verify", "--list", "-o", "json")
	var all []struct{ Name, Proves, Formula, Reference string }
	if err := json.Unmarshal([]byte(stdout), &all); code != exitFine || err != nil || len(all) != len(verify.All) {
		t.Fatalf("exit %d, %v, %s: %s", code, err, stdout, stderr)
	}
	doc, err := os.ReadFile("../../docs/verify.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range all {
		if !strings.Contains(string(doc), "`"+x.Name+"`") {
			t.Errorf("docs/verify.md says nothing of `%s`", x.Name)
		}
	}
	if code, _, stderr := here(t, "verify", "nagel"); code != exitUsage || !strings.Contains(stderr, "did you mean nagle?") {
		t.Errorf("exit %d: %s", code, stderr)
	}
}

// One test, in each format.
func TestVerifyOne(t *testing.T) {
	for format, says := range map[string]string{"table": "lines agree", "md": "### request-timeout", "html": "<h2>request-timeout</h2>", "json": `"verdict":"pass"`} {
		code, stdout, stderr := here(t, "verify", "request-timeout", "--quiet", "-o", format)
		if code != exitFine || !strings.Contains(stdout, says) || stderr != "" {
			t.Errorf("%s: exit %d, %s: %s", format, code, stdout, stderr)
		}
	}
}
