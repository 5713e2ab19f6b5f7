// Package sockbench holds the tests of the whole: the import graph. The program is in cmd/sockbench.
package sockbench
