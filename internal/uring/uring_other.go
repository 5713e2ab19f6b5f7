//go:build !linux

package uring

import (
	"errors"
	"fmt"
	"runtime"
)

// Supported says why there is no io_uring here.
func Supported() error {
	return fmt.Errorf("io_uring is Linux's, this is %s: %w", runtime.GOOS, errors.ErrUnsupported)
}
