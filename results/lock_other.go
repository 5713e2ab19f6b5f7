//go:build !unix

package results

import (
	"errors"
	"os"
)

func lock(*os.File) error { return errors.New("run folders can only be written on Unix") }
