package main

import "context"

// goal is one entry of goals: what is claimed, and what measures one figure for each claim, in their order.
type goal struct {
	code    string
	claims  []claim
	measure func(context.Context, *bench) ([]figure, error)
}

// claim is what one row of the table is about.
type claim struct {
	what   string
	limit  limit
	format func(float64) string
}

// limit is what a goal allows. Without a sign there is no goal: the figure is only reported.
type limit struct {
	sign  string
	value float64
}

func atMost(v float64) limit  { return limit{"≤", v} }
func below(v float64) limit   { return limit{"<", v} }
func atLeast(v float64) limit { return limit{"≥", v} }

// allows says whether v meets the limit.
func (l limit) allows(v float64) bool {
	switch l.sign {
	case "≤":
		return v <= l.value
	case "<":
		return v < l.value
	}
	return v >= l.value
}

// goals lists what is measured, in the order of the table.
var goals = []goal{
	{"P1", []claim{
		{"client CPU per request, epoll engine / C client, 64 connections", atMost(1.03), ratio},
		{"client CPU per request, epoll engine / C client, 1000 connections", atMost(1.06), ratio},
	}, epollCost},
	{"P2", []claim{
		{"client CPU per request, iouring engine / C client, 64 connections", atMost(.98), ratio},
		{"client CPU per request, iouring engine / C client, 1000 connections", atMost(.92), ratio},
	}, iouringCost},
	{"P3", []claim{
		{"client CPU per request, epoll engine / fortio, 64 connections", atMost(.75), ratio},
		{"client CPU per request, epoll engine / fortio, 1000 connections", atMost(.4), ratio},
	}, fortioCost},
	{"P3-redis", []claim{
		{"client CPU per request, epoll engine / redis-benchmark, GET, 50 connections", atMost(1), ratio},
		{"p50 of that, epoll engine / redis-benchmark", atMost(1.05), ratio},
	}, redisCost},
	{"P3-wrk", []claim{{"client CPU per request, epoll engine / wrk, GET from nginx, 50 connections", atMost(1), ratio}}, wrkCost},
	{"P4", []claim{
		{"lateness at Poisson 10,000/s, 50 connections, ordinary user: p50", atMost(2e3), nanoseconds},
		{"lateness at Poisson 10,000/s, 50 connections, ordinary user: p99", atMost(60e3), nanoseconds},
		{"client CPU of that", atMost(.65), percent},
		{"lateness at Poisson 10,000/s, 50 connections, root, real time: p99", atMost(35e3), nanoseconds},
	}, exactLateness},
	{"P5", []claim{
		{"lateness at Poisson 10,000/s, 50 connections, cheap pacing, ordinary user: p99", atMost(130e3), nanoseconds},
		{"client CPU of that", atMost(.45), percent},
	}, cheapLateness},
	{"P6", []claim{
		{"requests per server CPU second, target epoll / C on epoll", atLeast(.96), ratio},
		{"requests per server CPU second, target iouring / C on epoll", atLeast(1), ratio},
		{"requests per server CPU second, target goroutine / a plain Go net loop", atLeast(.98), ratio},
		{"requests per server CPU second, target goroutine / C on epoll", atLeast(.8), ratio},
		{"requests per server CPU second, target thread / C with a thread per connection", atLeast(.7), ratio},
		{"requests per server CPU second, target epoll / netpoll", atLeast(1.25), ratio},
	}, serverCost},
	{"P7", manyClaims(), manyConnections},
	{"P8", []claim{
		{"a trial beyond warm-up and duration", atMost(150e6), nanoseconds},
		{"what a path adds to that", atMost(50e6), nanoseconds},
	}, trialCost},
	{"P9", []claim{
		{"10,000 trials in 1,000 cells: compare", atMost(2e9), nanoseconds},
		{"the memory that takes", atMost(500e6), megabytes},
		{"report, on a terminal", atMost(2e9), nanoseconds},
		{"the memory that takes", atMost(500e6), megabytes},
		{"report -o html", atMost(5e9), nanoseconds},
		{"the memory that takes", atMost(500e6), megabytes},
	}, reading},
	{"P10", []claim{{"mallocs in 1 s of a live closed loop, 64 connections", below(100), plain}}, mallocs},
	{"P11", []claim{
		{"robust spread of ln p99 between trials at Poisson 10,000/s, 50 connections, target epoll, root, real time", atMost(.12), share},
		{"the same as an ordinary user", limit{}, share},
	}, steadiness},
	{"check-simulated", simulationClaims(), simulatedChecks},
	{"check", sameClaims(), checksOfTheSame},
	{"check-planted", plantedClaims(), plantedChecks},
	{"capacity", capacityClaims(), knownCapacity},
	{"race", raceClaims(), simulatedRaces},
	{"race-real", realRaceClaims(), realRaces},
	{"winner", winnerClaims(), realWinners},
	{"effects", effectClaims(), simulatedEffects},
	{"effects-real", realEffectClaims(), realEffects},
	{"sockperf", []claim{{"client CPU per request at a constant 10,000/s, 1 connection: sockbench / sockperf, each with its own server",
		limit{}, ratio}}, sockperfCost},
}
