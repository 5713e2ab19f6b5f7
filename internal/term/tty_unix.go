//go:build unix

package term

import (
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// Columns is how wide the terminal behind w is; 0: w is no terminal.
func Columns(w io.Writer) int {
	f, ok := w.(*os.File)
	if !ok {
		return 0
	}
	size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return 0
	}
	if size.Col == 0 { // a terminal that does not say, as of some serial lines and containers
		return 80
	}
	return int(size.Col)
}
