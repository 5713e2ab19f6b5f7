module github.com/sockbench/sockbench/benchmarks

go 1.26.0

replace github.com/sockbench/sockbench => ..

require (
	github.com/sockbench/sockbench v0.0.0-00010101000000-000000000000
	golang.org/x/sys v0.49.0
)

require (
	github.com/HdrHistogram/hdrhistogram-go v1.4.0 // indirect
	github.com/klauspost/compress v1.20.3 // indirect
	github.com/vishvananda/netlink v1.3.1 // indirect
	github.com/vishvananda/netns v0.0.5 // indirect
	gonum.org/v1/gonum v0.17.0 // indirect
)
