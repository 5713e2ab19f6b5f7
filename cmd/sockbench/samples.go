package main

import (
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
)

// sampleMax bounds a sample file: about 90 MB of load's, 60 MB of serve's.
const sampleMax = 1_000_000

// sampleHelp is what --samples does.
const sampleHelp = "write one line for each request to this file, at most 1,000,000"

// saveSamples writes what --samples asked for to its file, which is open since before the first request, and closes it.
func saveSamples(c *cobra.Command, file *os.File, held int, dropped int64, write func(io.Writer) error) error {
	err := write(file)
	if e := file.Close(); err == nil {
		err = e
	}
	if err != nil {
		return broken(fmt.Errorf("write %s: %w", file.Name(), err))
	}
	if dropped > 0 {
		fmt.Fprintf(c.ErrOrStderr(), "%s holds the first %d requests; %d more did not fit\n", file.Name(), held, dropped)
	}
	return nil
}
