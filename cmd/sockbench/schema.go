package main

import (
	"github.com/spf13/cobra"

	"github.com/sockbench/sockbench/plan"
)

func schemaCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of plan files",
		Long: `Print the JSON Schema of plan files, which this build's knobs and socket options make up. An editor with a YAML language
server checks a plan by it, and completes, when the plan's first line is

  # yaml-language-server: $schema=plan-v1.schema.json`,
		Example: `  sockbench schema > plan-v1.schema.json`,
		Args:    noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			_, err := c.OutOrStdout().Write(plan.Schema())
			return broken(err)
		},
	}
}
