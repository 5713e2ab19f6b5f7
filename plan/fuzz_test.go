package plan

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/sockbench/sockbench/internal/planfile"
)

// FuzzParse: whatever the file holds, there is an answer soon: a plan that survives JSON, or problems at places.
func FuzzParse(f *testing.F) {
	files, _ := filepath.Glob("../examples/*.yaml")
	for _, file := range files {
		src, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(src)
	}
	for _, c := range wrong {
		f.Add([]byte(c[0]))
	}
	f.Add([]byte(everything))
	f.Fuzz(func(t *testing.T, src []byte) {
		began := time.Now()
		p, err := Parse("plan.yaml", src)
		if took := time.Since(began); took > time.Minute {
			t.Errorf("it took %v", took)
		}
		if err == nil {
			var again Plan
			data, err := json.Marshal(p)
			if err == nil {
				err = json.Unmarshal(data, &again)
			}
			if err != nil || again.Digest() != p.Digest() || len(p.Cells()) == 0 {
				t.Errorf("the plan %s does not survive JSON (%v)", data, err)
			}
			return
		}
		var all *planfile.Error
		if !errors.As(err, &all) || len(all.Problems) == 0 {
			t.Fatalf("error without problems: %v", err)
		}
		for i, p := range all.Problems {
			if p.Line < 1 || p.Col < 1 || p.Text == "" || i > 0 && p.Line < all.Problems[i-1].Line || p.Line > bytes.Count(src, []byte("\n"))+1 {
				t.Errorf("problem %d has no place or stands at the wrong one: %+v", i, p)
			}
		}
		if utf8.Valid(src) && !utf8.ValidString(err.Error()) {
			t.Errorf("the text of %q is no text: %q", src, err)
		}
	})
}
