package explain

import (
	"fmt"

	"github.com/sockbench/sockbench/internal/term"
)

// Thresholds. What is at an "at least" or "at most" fires, what is at a "more than" or "less than" does not.
const (
	limitedShare = .10   // of the time with something to send, more than: less is the start of a connection, while buffers still grow
	behindShare  = .30   // of that time, more than: at the full speed of a loopback a reader falls behind for a tenth of it
	filledShare  = .50   // of a window or buffer under way, at least: with less under way it is not the size that limits
	bufferShare  = .70   // of a send buffer under way, at least: the kernel counts its own overhead too, up to a quarter
	resentShare  = .01   // of data segments, more than: CUBIC's own probing of a queue stays below
	littleOff    = .10   // of what Little's law says, more than: verify finds 4 %
	perConnMin   = 20    // requests of each connection, at least: those cut by the edges of the measure phase are one in each
	dropShare    = .01   // of datagrams, at least: what p99 is made of
	queueTimes   = 2     // the shortest RTT, at least: a queue as long as the path
	queueLeast   = 5e6   // ns of queue, at least: less is a busy machine's delay
	flightLeast  = 10    // segments under way over all connections, at least: fewer fit into one initial window and fill no queue
	ownQueue     = 128   // KiB of a connection's own queue, at least: twice the largest segment, which no option keeps out
	ownTimes     = 3     // times the RTT that a request takes, at least
	heldLow      = 38e6  // ns, at least: TCP_DELACK_MIN is 40 ms, and a tick of 4 ms may have begun
	heldHigh     = 60e6  // ns beside one RTT more, at most
	corkLow      = 195e6 // ns, at least: tcp(7) has 200 ms as the ceiling, …
	corkHigh     = 230e6 // … at most: ticks come on top
	twoSegments  = 1.9   // data segments of a message, at least: not all may be held
	oneEach      = .5    // delayed acknowledgements for a request, at least
	moreSegments = 1.5   // times the segments that the bytes take, more than
	// of a stream, more than: the MSS of a loopback is 64 KiB, and half of it costs little more
	streamSegments = 8.0
	busyEnough     = .50   // of a side's time, at least: below, nobody misses the CPU time that segments cost
	idleEnough     = .50   // of each side's time, less than: the time goes elsewhere
	rtoLeast       = 190e6 // ns, at least: TCP_RTO_MIN is 200 ms, less two ticks
	rtoShare       = .01   // of requests, at least: what p99 is made of
	needless       = .50   // of retransmissions that the peer had already, at least
	farAway        = 1e6   // ns of RTT, at least: nearer than that it is no path
	pathTimes      = 1.5   // times the RTT that requests take at p50, at most: the rest is the path's
	wakesEach      = .9    // voluntary switches for a reply on each side, at least
	threadsEach    = 32    // threads for a CPU of the server, at least: a time slice each is longer than most requests take
	turnsLeast     = 10e6  // ns of p99, at least: some slices of the scheduler's 3 ms
	tailTimes      = 2     // p99 over p50, at least
	skewTimes      = 2     // an even share, at least
	skewLeast      = 8     // connections for a worker, at least: fewer are uneven by chance
	clientBusy     = .90   // of the engines' time, more than, as check client_saturated has it
	serverBusy     = .80   // of the server's CPUs, at least, as check joint_limit has it
)

// Rules lists them in the order in which diagnoses are shown: first what makes all else doubtful, then what the kernel
// counted or refused, then what follows from times, last what limits where nothing need be wrong.
var Rules = []Rule{
	{Code: "littles_law", Doc: "the bench itself is wrong: throughput × response time is not the number of requests under way",
		Needs: fmt.Sprintf("an undisturbed closed loop without think time or failures, at least %d requests of each connection; throughput × mean response time off by more than %s and what the edges of the measure phase can hide, twice the longest response ÷ its length", perConnMin, share(littleOff)),
		Test:  littlesLaw},
	{Code: "open_files", Doc: "the server has no file descriptor left for another connection",
		Needs: "as many files open as the server's process may have", Test: openFiles},
	{Code: "no_local_port", Doc: "the client has no local port left: closed connections hold theirs in TIME_WAIT",
		Needs: "at least one connect that failed with EADDRNOTAVAIL", Test: noLocalPort},
	{Code: "accept_queue", Doc: "the accept queue overflowed: the kernel dropped the handshake, and the client tries again only after 1 s, 3 s, 7 s",
		Needs: "at least one in ListenOverflows; the longest connect at least 950 ms, or as long as connect_timeout", Test: acceptQueue},
	{Code: "syn_lost", Doc: "SYNs are lost on the way: the path loses them, or nobody is there; the client tries again only after 1 s, 3 s, 7 s",
		Needs: "at least one in TCPSynRetrans, none in ListenOverflows; the longest connect at least 950 ms, or as long as connect_timeout", Test: synLost},
	{Code: "udp_drops", Doc: "datagrams found no room in a receive buffer and are lost: the reader is too slow for the burst, or the buffer too small",
		Needs: fmt.Sprintf("Udp RcvbufErrors at least %s of the datagrams sent, and requests without a reply", share(dropShare)), Test: udpDrops},
	{Code: "option_capped", Doc: "a system-wide limit made a socket option smaller than asked, without an error",
		Needs: "an option of class capped: it reads back less than asked, and as much as its sysctl", Test: optionCapped},
	{Code: "option_inert", Doc: "a socket option reads back as set and does nothing here: non-blocking sockets ignore it",
		Needs: "an option of class inert", Test: optionInert},
	{Code: "fast_open", Doc: "TCP Fast Open is set and without effect: the sysctl lacks a bit, the server has no queue for it, or there was no cookie yet",
		Needs: "TCP_FASTOPEN_CONNECT set, and no connection whose SYN carried data", Test: fastOpen},
	{Code: "receive_window", Doc: "the receiver's window is full: its receive buffer is less than what fits into a round trip",
		Needs: fmt.Sprintf("limited by the receiver's window for more than %s of the time with something to send; rate × RTT at least %s of the window", share(limitedShare), share(filledShare)),
		Test:  eachWay(receiveWindow)},
	{Code: "slow_reader", Doc: "the receiver reads too slowly: its window is full although a round trip would fit into it many times",
		Needs: fmt.Sprintf("limited by the receiver's window for more than %s of the time with something to send; rate × RTT less than %s of the window", share(behindShare), share(filledShare)),
		Test:  eachWay(slowReader)},
	{Code: "send_buffer", Doc: "the send buffer is full: it is less than what fits into a round trip",
		Needs: fmt.Sprintf("SO_SNDBUF set; rate × RTT at least %s of the buffer as it reads, without a queue in the network (RTT less than %d times the shortest), and the receiver's window is no limit", share(bufferShare), queueTimes),
		Test:  eachWay(sendBuffer)},
	{Code: "nagle", Doc: "Nagle's algorithm holds back the second piece of a message until the peer's delayed acknowledgement of the first, some 40 ms",
		Needs: fmt.Sprintf("p50 without the server's own time and a round trip at least %s and at most %s and a round trip; at least %.1f data segments for a message; TCP_NODELAY not on; delayed acknowledgements for at least %s of the requests", term.Duration(heldLow), term.Duration(heldHigh), twoSegments, share(oneEach)),
		Test:  eachWay(nagle)},
	{Code: "cork", Doc: "a forgotten TCP_CORK: the kernel holds a segment that is not full for 200 ms before it sends it anyway",
		Needs: fmt.Sprintf("p50 without the server's own time and a round trip at least %s and at most %s, p90 at most a tenth more; no more than %s of the segments sent again", term.Duration(corkLow), term.Duration(corkHigh), share(resentShare)),
		Test:  cork},
	{Code: "spurious_timeout", Doc: "retransmission timeouts fire while the data is only late: the peer had it already",
		Needs: fmt.Sprintf("at least one retransmission timeout; the peer had at least %s of what was sent again (DSACK)", share(needless)), Test: eachWay(spuriousTimeout)},
	{Code: "retransmission_timeout", Doc: "lost segments wait for the retransmission timer: messages are too short for the acknowledgements that would tell sooner",
		Needs: fmt.Sprintf("p99 without the server's own time and a round trip at least %s; segments sent again for at least %s of the requests", term.Duration(rtoLeast), share(rtoShare)), Test: retransmissionTimeout},
	{Code: "network_queue", Doc: "a queue stands in the network: packets wait longer in it than the path takes",
		Needs: fmt.Sprintf("no loopback; RTT at least %d times the shortest, and at least %s longer; at least %d segments under way", queueTimes, term.Duration(queueLeast), flightLeast), Test: eachWay(networkQueue)},
	{Code: "own_queue", Doc: "a queue stands in the sender's own socket: what is written waits for what was written before",
		Needs: fmt.Sprintf("requests take at least %d RTTs beside the server's time, and a connection's rate × the time beyond the RTT is at least %d KiB; both sides less than %s busy, and the receiver's window is no limit", ownTimes, ownQueue, share(serverBusy)), Test: ownSocket},
	{Code: "loss_limited", Doc: "congestion control takes every loss for congestion, and sends less than the path carries",
		Needs: fmt.Sprintf("more than %s of the data segments sent again, the receiver's window a limit for at most %s of the time, and less than %s of the path's rate where that is known; congestion control other than bbr", share(resentShare), share(limitedShare), share(serverBusy)), Test: eachWay(lossLimited)},
	{Code: "small_segments", Doc: "messages leave in more segments than their bytes take, and each costs CPU time on both sides",
		Needs: fmt.Sprintf("more than %.1f times the data segments that the bytes take, of a stream %.0f times; one side at least %s busy", moreSegments, streamSegments, share(busyEnough)), Test: eachWay(smallSegments)},
	{Code: "oversubscribed", Doc: "more threads want to run than there are CPUs: requests wait for their thread's turn, and the tail grows",
		Needs: fmt.Sprintf("a loopback; at least %d threads for each CPU of the server, and %.1f voluntary switches of it for a reply; p99 at least %s and %d times p50", threadsEach, wakesEach, term.Duration(turnsLeast), tailTimes), Test: oversubscribed},
	{Code: "listener_skew", Doc: "connections are spread unevenly over the listening sockets: one worker has far more than its share",
		Needs: fmt.Sprintf("listener other than shared, at least %d connections for a worker; one accepted at least %d times its share", skewLeast, skewTimes), Test: listenerSkew},
	{Code: "app_limited", Limit: true, Doc: "the sender waits for its application: what is under way is back after a round trip, and no buffer changes that",
		Needs: fmt.Sprintf("a closed loop over an RTT of at least %s; p50 without the server's time at most %.1f RTTs; both sides less than %s busy, the receiver's window a limit for at most %s of the time", term.Duration(farAway), pathTimes, share(idleEnough), share(limitedShare)), Test: appLimited},
	{Code: "wake_ups", Limit: true, Doc: "the time goes into waking up: each side sleeps until the other has done its part",
		Needs: fmt.Sprintf("a closed loop on a loopback; at least %.1f voluntary switches for a reply on each side, of which both are less than %s busy", wakesEach, share(serverBusy)), Test: wakeUps},
	{Code: "client_limit", Limit: true, Doc: "the load generator is the limit, not the server",
		Needs: fmt.Sprintf("the load generator more than %s busy, the server less than %s", share(clientBusy), share(serverBusy)), Test: clientLimit},
	{Code: "server_cpu", Limit: true, Doc: "CPU time is the limit: the server uses what it has",
		Needs: fmt.Sprintf("the server at least %s busy", share(serverBusy)), Test: serverCPU},
}

const kib = 1024

func share(v float64) string { return fmt.Sprintf("%g %%", 100*v) }
