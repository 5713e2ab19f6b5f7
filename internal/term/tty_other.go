//go:build !unix

package term

import "io"

// Columns is 0 here: a terminal cannot be told from a file.
func Columns(io.Writer) int { return 0 }
