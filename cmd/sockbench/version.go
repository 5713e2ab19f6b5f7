package main

import (
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version is what this build is, as far as it knows.
type version struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"`
	Modified bool   `json:"modified,omitempty"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

func thisVersion() version {
	v := version{Version: "devel", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	if b, ok := debug.ReadBuildInfo(); ok {
		if b.Main.Version != "" && b.Main.Version != "(devel)" {
			v.Version = b.Main.Version
		}
		for _, s := range b.Settings {
			switch s.Key {
			case "vcs.revision":
				v.Revision = s.Value
			case "vcs.modified":
				v.Modified = s.Value == "true"
			}
		}
	}
	return v
}

func (v version) String() string {
	s := "sockbench " + v.Version
	if v.Revision != "" {
		s += fmt.Sprintf(" (%.12s)", v.Revision)
	}
	return s + " " + v.Go + " " + v.Platform
}

func versionCommand() *cobra.Command {
	output := choice{level: "text", of: []string{"text", "json"}}
	c := &cobra.Command{
		Use:   "version",
		Short: "Say what this build is",
		Args:  noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			if output.level == "json" {
				return json.NewEncoder(c.OutOrStdout()).Encode(thisVersion())
			}
			_, err := fmt.Fprintln(c.OutOrStdout(), thisVersion())
			return err
		},
	}
	output.flag(c)
	return c
}
