package doctor

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"github.com/sockbench/sockbench/results"
)

// read is a file of the tree without the white space around it; path is absolute.
func (h *host) read(path string) (string, error) {
	b, err := fs.ReadFile(h.tree, strings.TrimPrefix(path, "/"))
	return strings.TrimSpace(string(b)), err
}

// number is the first number of a file.
func (h *host) number(path string) (int64, error) {
	text, err := h.read(path)
	if err != nil {
		return 0, err
	}
	first, _, _ := strings.Cut(text, "\n")
	f := strings.Fields(first)
	if len(f) == 0 {
		return 0, fmt.Errorf("%s is empty", path)
	}
	return strconv.ParseInt(f[0], 10, 64)
}

// sysctl is the value of a sysctl by its dotted name.
func (h *host) sysctl(name string) (string, error) { return h.read(sysctlPath(name)) }

func sysctlPath(name string) string { return "/proc/sys/" + strings.ReplaceAll(name, ".", "/") }

// unseen is what stands in the place of a figure that cannot be read.
func unseen(err error) string {
	failed := (*fs.PathError)(nil)
	path := ""
	if errors.As(err, &failed) {
		path = "/" + failed.Path
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "not visible: there is no " + path
	case errors.Is(err, fs.ErrPermission):
		return "not visible: this user may not read " + path
	}
	return "not visible: " + err.Error()
}

// hidden is the line of something that cannot be read, which is no fault of the machine's.
func hidden(looked, disturbs string, err error) Line {
	return Line{Looked: looked, Measured: unseen(err), Verdict: results.Note, Disturbs: disturbs}
}
