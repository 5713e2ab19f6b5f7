package sockopt

import (
	"bytes"
	"flag"
	"os"
	"testing"
)

const pageFile = "../docs/options.md"

var update = flag.Bool("update", false, "write "+pageFile)

func TestPageIsCurrent(t *testing.T) {
	if *update {
		if err := os.WriteFile(pageFile, Page(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	committed, err := os.ReadFile(pageFile)
	if err != nil || !bytes.Equal(committed, Page()) {
		t.Errorf("%s is not what the table says (%v): run go generate ./sockopt", pageFile, err)
	}
}
