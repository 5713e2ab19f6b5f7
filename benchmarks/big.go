package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/sockbench/sockbench/results/resultstest"
)

// P9's folder: 10,000 made-up trials as long as real ones.
const (
	bigCells  = 1000
	bigBlocks = 10
	bigSeed   = 1
	bigRuns   = 7
)

// reading is P9: how long a big run folder takes to be looked at, and how much memory.
func reading(ctx context.Context, b *bench) ([]figure, error) {
	dir := filepath.Join(b.dir, "big")
	if err := resultstest.Generate(dir, bigCells, bigBlocks, bigSeed); err != nil {
		return nil, err
	}
	commands := [][]string{{b.sockbench, "compare", dir, "--by", "TCP_NODELAY"}, {b.sockbench, "report", dir}, {b.sockbench, "report", dir, "-o", "html"}}
	times, memory := make([][]float64, len(commands)), make([][]float64, len(commands))
	others := foreignCPU()
	for range bigRuns {
		for i, argv := range commands {
			cmd, cancel := child{argv: argv, cpu: anyCPU, limit: 2 * time.Minute}.command(ctx)
			began := time.Now()
			err := cmd.Run()
			times[i] = append(times[i], float64(time.Since(began)))
			cancel()
			if err != nil {
				return nil, fmt.Errorf("%s: %w", shown(argv), err)
			}
			memory[i] = append(memory[i], float64(cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss)*1024)
		}
	}
	foreign, err := others()
	if err != nil {
		return nil, err
	}
	var figures []figure
	for i, argv := range commands {
		typed := strings.NewReplacer(b.sockbench, "sockbench", dir, "DIR").Replace(shown(argv))
		note := fmt.Sprintf("of a folder by `resultstest.Generate(DIR, %d, %d, %d)`", bigCells, bigBlocks, bigSeed)
		figures = append(figures, figure{got: median(times[i]), how: []string{typed}, foreign: foreign, note: note},
			figure{got: median(memory[i]), foreign: foreign, note: note})
	}
	return figures, nil
}

// megabytes writes a number of bytes.
func megabytes(v float64) string { return fmt.Sprintf("%.0f MB", v/1e6) }
