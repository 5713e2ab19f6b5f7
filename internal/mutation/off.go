//go:build !mutation

// Package mutation breaks the measuring layer on purpose, to see whether "sockbench verify" notices. An ordinary build has
// none of it: On is a constant there, and the compiler leaves out what depends on it. With
//
//	go build -tags mutation -ldflags "-X github.com/sockbench/sockbench/internal/mutation.name=NAME" ./cmd/sockbench
//
// one mutation is on. They stand where they act: search for mutation.On.
package mutation

// On says whether the mutation of that name is on.
func On(string) bool { return false }
