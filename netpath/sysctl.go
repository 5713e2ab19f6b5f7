package netpath

import (
	"fmt"
	"strings"
)

// Sysctl is a kernel setting of a network namespace.
type Sysctl struct {
	Name  string `json:"name"`  // net.ipv4.tcp_rmem
	Value string `json:"value"` // with single spaces between its numbers
}

// Sysctls are set in both ends of a path, or where both sides of a trial without one live. They are in the order of their names.
type Sysctls []Sysctl

// canonical is a sysctl's value with single spaces.
func canonical(value string) string { return strings.Join(strings.Fields(value), " ") }

func sysctlFile(name string) string { return "/proc/sys/" + strings.ReplaceAll(name, ".", "/") }

// NewSysctl checks what can be known without setting it.
func NewSysctl(name, value string) (Sysctl, error) {
	s := Sysctl{name, canonical(value)}
	switch {
	case !strings.HasPrefix(name, "net.") || strings.ContainsAny(name, "/ ") || strings.Contains(name, ".."):
		return s, fmt.Errorf("sysctl %s: only those of a network namespace can be set for a trial: write for example net.ipv4.tcp_rmem", name)
	case s.Value == "":
		return s, fmt.Errorf("sysctl %s: it has no value", name)
	}
	return s, nil
}
