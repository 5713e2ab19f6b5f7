package targets

// All lists the targets: a model is one file and one line here.
var All = []Entry{
	blockingEntry,
	threadEntry,
	goroutineEntry,
	poolEntry,
	leaderEntry,
	nonblockingEntry,
	selectEntry,
	pollEntry,
	epollEntry,
	epollEdgeEntry,
	reactorsEntry,
	preforkEntry,
	forkEntry,
	iouringEntry,
	udpEntry,
	udpBatchEntry,
	naiveEntry,
	sinkEntry,
	sourceEntry,
	acceptNoneEntry,
	addrEntry,
	execEntry,
}
