package sockopt

import "slices"

// Protocol levels of setsockopt on Linux, as literals: the table is data on every system.
const (
	noLevel   = -1 // no option of setsockopt
	solIP     = 0
	solSocket = 1
	solTCP    = 6
	solUDP    = 17
)

const (
	everywhere = Fresh | Listen | Established // where an option that accepted sockets inherit can be set
	maxInt     = 1<<31 - 1
	tick       = "the kernel's clock tick"
	slowTick   = 20_000 // two ticks in microseconds: HZ is 100 or more, and connect adds one
	netAdmin   = "CAP_NET_ADMIN"
	busy       = "Packets must come from a network device with NAPI, and a CPU must be free to spin: it buys latency with CPU time."
)

// backlog is an entry that is no socket option, but an argument of listen.
const backlog = "backlog"

// All is the table of options. One entry is enough: flags, plan keys, read-back, reports and docs/options.md follow from it.
var All = slices.Concat(bufferOptions, sendingOptions, lossOptions, openingOptions, closingOptions, deviceOptions)

// openingOptions are about how connections come to be.
var openingOptions = []Option{
	{Name: backlog, Level: noLevel, Kind: Count, Max: maxInt, Phases: Listen, Sides: Server, Networks: TCP | Unix, Reads: ReadsEqual,
		Listener: true, Cap: "net.core.somaxconn",
		Needs: "Connections must come faster than the server accepts them, at least for a moment.",
		Doc: "The second argument of listen(2): how many complete connections the kernel holds until accept takes them. It holds one more " +
			"than asked. Beyond that it drops the last packet of the handshake, and the client tries again after a second or " +
			"more: a full queue shows as connects that take 1 s, 3 s, and as ListenOverflows. Of 200 connects at once nobody " +
			"accepted, backlog 8 let 9 through and 128 let 129. Not named, it is net.core.somaxconn."},
	{Name: "TCP_DEFER_ACCEPT", Level: solTCP, Num: 9, Kind: Seconds, Max: 29887, Phases: Fresh | Listen, Sides: Server, Reads: ReadsRounded,
		Listener: true, RoundsTo: "the next sum of SYN-ACK timeouts", RoundsBy: 120,
		Needs: "A protocol in which the client speaks first, and connections that are opened inside what is measured.",
		Doc: "accept returns a connection only when its first data is there, which saves the server one wake-up each. The time is kept " +
			"as a number of SYN-ACK retransmissions, so it is rounded up: 2 s to 3 s, 5 s to 7 s. A client that stays silent is " +
			"handed over all the same when it is over. With a server that greets first both sides wait for nothing."},
	{Name: "TCP_FASTOPEN", Level: solTCP, Num: 23, Kind: Count, Max: maxInt, Phases: Fresh | Listen, Sides: Server, Reads: ReadsEqual,
		Listener: true, Cap: "net.core.somaxconn", Condition: FastOpenServer,
		Needs: "Clients that connect with TCP_FASTOPEN_CONNECT, a new connection per request (workload=crr), and a path with a round trip worth saving.",
		Doc: "Lets a client that was here before send its request inside the SYN; the number bounds how many such connections wait. Without " +
			"the server's bit in net.ipv4.tcp_fastopen the option is taken and nothing happens, which is the usual disappointment. " +
			"At 40 ms a request on a new connection took 41.6 ms instead of 83.2."},
	{Name: "TCP_FASTOPEN_CONNECT", Level: solTCP, Num: 30, Kind: Bool, Max: 1, Phases: Fresh, Sides: Client, Reads: ReadsEqual, Condition: FastOpenClient,
		Needs: "A server with TCP_FASTOPEN, a new connection per request (workload=crr), and a path with a round trip worth saving.",
		Doc: "on: connect returns at once, and the SYN leaves with the first write and carries its data, if this machine has a cookie of " +
			"the server. The first connection fetches the cookie and gains nothing. An unreachable server shows at the write, no " +
			"longer at the connect, so connect times say nothing any more."},
	{Name: "TCP_SYNCNT", Level: solTCP, Num: 7, Kind: Count, Min: 1, Max: 127, Phases: Fresh, Sides: Client, Inherited: true, Reads: ReadsEqual,
		Needs: "A server that does not answer the SYN at all, and a connect_timeout that is longer.",
		Doc: "How often a SYN is sent again before connect gives up. The waits double from one second: into a black hole 1 gave up after " +
			"3.06 s, 2 after 7.13 s. A non-blocking connect with a timer of its own is finer."},
	{Name: "SO_REUSEADDR", Level: solSocket, Num: 2, Kind: Bool, Max: 1, Phases: Fresh, Sides: Server, Networks: TCP | UDP, Inherited: true, Reads: ReadsEqual,
		Needs: "A fixed port that was in use a moment ago.",
		Doc: "on: a port can be bound although connections of its former owner linger in TIME_WAIT, so that a server can be restarted. It does not " +
			"let two servers of TCP listen on one port; with UDP it does, and only one of them hears anything. A server of ours on a " +
			"fixed port sets it by itself, unless this says otherwise."},
	{Name: "SO_REUSEPORT", Level: solSocket, Num: 15, Kind: Bool, Max: 1, Phases: Fresh, Sides: Server, Networks: TCP | UDP, Inherited: true, Reads: ReadsEqual,
		Needs: "Several sockets on the same port, all with the option and of the same user: listener=reuseport makes them.",
		Doc: "on: several sockets listen on one port, and the kernel divides connections among them by a hash: evenly in the mean only (400 over " +
			"four gave 100, 114, 90, 96). It must be set before bind on each. A socket that is closed takes the connections in " +
			"its queue with it, unless net.ipv4.tcp_migrate_req is on. Alone it changes nothing."},
	{Name: "SO_ATTACH_REUSEPORT_CBPF", Level: solSocket, Num: 51, Kind: Count, Phases: Fresh, Sides: Server, Reads: ReadsNot,
		Refuse: "it takes a program, not a level: write listener=reuseport-cpu, which attaches one that divides connections by CPU",
		Doc: "A small program chooses which of the sockets on one port a connection goes to, instead of the hash of SO_REUSEPORT: for example " +
			"the CPU its packets arrive on, for locality. What it returns must be the number of a socket. Steering can starve: with four " +
			"sockets on two CPUs 400 connections went 333, 67, 0, 0."},
	{Name: "SO_INCOMING_CPU", Level: solSocket, Num: 49, Kind: Number, Max: maxInt, Phases: Fresh | Listen, Sides: Server, Reads: ReadsEqual, Listener: true,
		Inert: "every listening socket of a server is given the same CPU, so there is none to choose: write listener=reuseport-cpu",
		Needs: "Several listening sockets on one port, each with a CPU of its own.",
		Doc: "Among the listening sockets of one port, the kernel prefers the one that names the CPU a connection arrives on. On an accepted " +
			"socket the same option is a measurement: the CPU that handled its last packet. Any number is accepted, of CPUs that " +
			"are not there too."},
	{Name: "IP_BIND_ADDRESS_NO_PORT", Level: solIP, Num: 24, Kind: Bool, Max: 1, Phases: Fresh, Sides: Client, Networks: TCP | UDP, Reads: ReadsEqual,
		Inert: "a load that binds its sockets to addresses sets it by itself, and one that does not has no port to leave open",
		Needs: "Sockets that are bound to an address before they connect, in greater number than one address has ports.",
		Doc: "on: bind to an address leaves the port to connect, when the other end is known, and so one port serves many connections. " +
			"Without it some 28,000 connections exhaust an address, whatever they lead to."},
	{Name: "IPPROTO_MPTCP", Level: noLevel, Num: 262, Kind: Bool, Max: 1, Phases: Fresh, Sides: Both, Reads: ReadsNot,
		Refuse: "it is a protocol of socket(2), not an option; all sockets here are plain TCP, for on Multipath TCP many options are refused or silently lost",
		Doc: "Multipath TCP: one connection over several paths. Go's package net listens with it unasked; clients of plain TCP still get plain " +
			"TCP. On such a listener TCP_QUICKACK, TCP_USER_TIMEOUT and others fail with ENOPROTOOPT, and TCP_NOTSENT_LOWAT, SO_RCVLOWAT or " +
			"SO_BUSY_POLL read back well and do not reach accepted sockets: SetMultipathTCP(false) cures it."},
}

// closingOptions are about dead peers and the end of connections.
var closingOptions = []Option{
	{Name: "TCP_USER_TIMEOUT", Level: solTCP, Num: 18, Kind: Milliseconds, Max: maxInt, Phases: everywhere, Sides: Both, Inherited: true, Reads: ReadsEqual,
		Needs: "A peer or a path that dies while data is under way: fault=blackout.",
		Doc: "How long sent data may stay unacknowledged before the connection is given up; 0s leaves it to the retransmission count, which " +
			"takes many minutes. It is looked at when a retransmission is due, so 1.5 s ended a connection after 1.97 s. It bounds connect " +
			"too, and overrides TCP_KEEPCNT."},
	{Name: "SO_KEEPALIVE", Level: solSocket, Num: 9, Kind: Bool, Max: 1, Phases: everywhere, Sides: Both, Inherited: true, Reads: ReadsEqual,
		Needs: "Idle connections whose peer vanishes without a word.",
		Doc: "on: probe idle connections, so that a dead peer is noticed. By itself it waits two hours before the first probe: set TCP_KEEPIDLE, " +
			"TCP_KEEPINTVL and TCP_KEEPCNT with it. While data is under way it does nothing; that is TCP_USER_TIMEOUT's case. Go's package net " +
			"switches it on unasked."},
	{Name: "TCP_KEEPIDLE", Level: solTCP, Num: 4, Kind: Seconds, Min: 1, Max: 32767, Phases: everywhere, Sides: Both, Inherited: true, Reads: ReadsEqual,
		Needs: "SO_KEEPALIVE=on.",
		Doc: "Idle time before the first keep-alive probe. A dead peer is noticed after TCP_KEEPIDLE + TCP_KEEPINTVL × TCP_KEEPCNT: with 1 s, 1 s " +
			"and 2 it took 3.03 s."},
	{Name: "TCP_KEEPINTVL", Level: solTCP, Num: 5, Kind: Seconds, Min: 1, Max: 32767, Phases: everywhere, Sides: Both, Inherited: true, Reads: ReadsEqual,
		Needs: "SO_KEEPALIVE=on.",
		Doc:   "Time between keep-alive probes that nobody answers. Short intervals find dead peers sooner and give up sooner on a path that is only slow."},
	{Name: "TCP_KEEPCNT", Level: solTCP, Num: 6, Kind: Count, Min: 1, Max: 127, Phases: everywhere, Sides: Both, Inherited: true, Reads: ReadsEqual,
		Needs: "SO_KEEPALIVE=on.",
		Doc:   "Unanswered keep-alive probes before the connection is given up. TCP_USER_TIMEOUT, where it is set, decides instead."},
	{Name: "SO_LINGER", Level: solSocket, Num: 13, Kind: LingerTime, Max: 32767, Phases: everywhere, Sides: Both, Inherited: true, Reads: ReadsEqual,
		Needs: "Connections that are closed inside what is measured: workload=crr, idle_timeout.",
		Doc: "What close does with unsent data: off sends it in the background; 0s throws it away and resets the connection, which also leaves no " +
			"TIME_WAIT; a time makes close wait that long for the peer. 0s loses data that was written (of 3.9 MB the peer got 113 KB), so " +
			"it is no remedy for TIME_WAIT; and a time stops an event loop: close stood still for 2.02 s."},
	{Name: "TCP_LINGER2", Level: solTCP, Num: 8, Kind: SecondsOrOff, Min: 1, Max: 120, Phases: everywhere, Sides: Both, Inherited: true, Reads: ReadsEqual,
		Needs: "Many connections closed on this side whose peers do not close theirs.",
		Doc: "How long a closed connection is remembered whose peer has not closed (FIN_WAIT2); off forgets it at once. The default is " +
			"net.ipv4.tcp_fin_timeout. It saves memory in storms of closes, and acts only on sockets that no program holds any more; the kernel " +
			"makes 120 s of anything longer."},
}
