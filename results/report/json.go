package report

import (
	"encoding/json"
	"io"
)

func document(w io.Writer, in Input) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(in.Answer)
}
