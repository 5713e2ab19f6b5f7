//go:build mutation

package mutation

// name is set by the linker.
var name string

// On says whether the mutation of that name is on.
func On(mutation string) bool { return mutation == name }
