package plan

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"maps"
	"math/rand/v2"
)

// Trial is one cell in one block. (ID, Attempt) is unique in a run and stable over --resume.
type Trial struct {
	ID      string `json:"id"`      // hash of plan digest, block and cell
	Block   int    `json:"block"`   // from 0
	Order   int    `json:"order"`   // its place in the block, from 0
	Attempt int    `json:"attempt"` // from 0: how often the block was run before
	Seed    uint64 `json:"seed"`    // of the block, never of the cell; 53 bits, which every JSON reader keeps
	Cell    Cell   `json:"cell"`
	Spec    Spec   `json:"spec"`
}

// Block lists all cells of block n (from 0) once, in a random order that follows from the plan's seed, n and attempt.
// n may be beyond Blocks.
func (p *Plan) Block(n, attempt int) []Trial {
	order := random("order", p.Seed, n, attempt).Perm(len(p.cells))
	seed := random("seed", p.Seed, n, 0).Uint64() >> 11
	trials := make([]Trial, len(order))
	for i, cell := range order {
		trials[i] = Trial{ID: ID(p.digest, n, p.cells[cell]), Block: n, Order: i, Attempt: attempt, Seed: seed,
			Cell: maps.Clone(p.cells[cell]), Spec: p.specs[cell]}
	}
	return trials
}

// ID is that of a trial of the plan with this digest.
func ID(digest string, block int, cell Cell) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %d %s", digest, block, cell))
	return hex.EncodeToString(sum[:8])
}

// random is a stream of its own for each purpose, seed, block and attempt: near seeds are not near streams.
func random(purpose string, seed uint64, block, attempt int) *rand.Rand {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %d %d %d", purpose, seed, block, attempt))
	return rand.New(rand.NewPCG(binary.BigEndian.Uint64(sum[:]), binary.BigEndian.Uint64(sum[8:])))
}
