package sockopt

// Protocol levels of setsockopt on Linux, as literals: the table is data on every system.
const (
	solSocket = 1
	solTCP    = 6
)

// everywhere is where an option that accepted sockets inherit can be set.
const everywhere = Fresh | Listen | Established

// All is the table of options. One entry is enough: flags, plan keys, read-back and reports follow from it.
var All = []Option{
	{Name: "SO_RCVBUF", Level: solSocket, Num: 8, Kind: Bytes, Min: 0, Max: 1<<31 - 1, Phases: everywhere, Sides: Both, Networks: TCP | UDP,
		Inherited: true, Reads: ReadsDoubled, Cap: "net.core.rmem_max",
		Doc: "Receive buffer: a ceiling on the window the peer may fill, and so on throughput = window / RTT. " +
			"Setting it switches the kernel's own growing of the buffer off."},
	{Name: "SO_SNDBUF", Level: solSocket, Num: 7, Kind: Bytes, Min: 0, Max: 1<<31 - 1, Phases: everywhere, Sides: Both, Networks: TCP | UDP | Unix,
		Inherited: true, Reads: ReadsDoubled, Cap: "net.core.wmem_max",
		Doc: "Send buffer: how much may be written and not yet acknowledged. Setting it switches autotuning off."},
	{Name: "TCP_NODELAY", Level: solTCP, Num: 1, Kind: Bool, Max: 1, Phases: everywhere, Sides: Both, Inherited: true, Reads: ReadsEqual,
		Doc: "on: send small segments at once (no Nagle). It matters on the side that writes a message in several pieces: " +
			"Nagle holds the second until the peer's delayed acknowledgement, about 40 ms on Linux."},
	{Name: "TCP_QUICKACK", Level: solTCP, Num: 12, Kind: Bool, Max: 1, Phases: Established | EachRead, Sides: Both, Reads: ReadsEqual,
		Doc: "on: acknowledge at once. The kernel falls back by itself, so it acts reliably only as on@each_read."},
	{Name: "TCP_USER_TIMEOUT", Level: solTCP, Num: 18, Kind: Milliseconds, Min: 0, Max: 1<<31 - 1, Phases: everywhere, Sides: Both,
		Inherited: true, Reads: ReadsEqual,
		Doc: "How long sent data may stay unacknowledged before the connection is given up; 0s leaves it to the retransmission count."},
	{Name: "SO_KEEPALIVE", Level: solSocket, Num: 9, Kind: Bool, Max: 1, Phases: everywhere, Sides: Both, Inherited: true, Reads: ReadsEqual,
		Doc: "on: probe idle connections, so that a dead peer is noticed."},
	{Name: "TCP_KEEPIDLE", Level: solTCP, Num: 4, Kind: Seconds, Min: 1, Max: 32767, Phases: everywhere, Sides: Both, Inherited: true, Reads: ReadsEqual,
		Doc: "Idle time before the first keep-alive probe."},
	{Name: "TCP_KEEPINTVL", Level: solTCP, Num: 5, Kind: Seconds, Min: 1, Max: 32767, Phases: everywhere, Sides: Both, Inherited: true, Reads: ReadsEqual,
		Doc: "Time between keep-alive probes."},
	{Name: "TCP_KEEPCNT", Level: solTCP, Num: 6, Kind: Count, Min: 1, Max: 127, Phases: everywhere, Sides: Both, Inherited: true, Reads: ReadsEqual,
		Doc: "Unanswered keep-alive probes before the connection is given up."},
	{Name: "TCP_SYNCNT", Level: solTCP, Num: 7, Kind: Count, Min: 1, Max: 127, Phases: Fresh, Sides: Client, Inherited: true, Reads: ReadsEqual,
		Doc: "How often a SYN is sent again before connect gives up."},
	{Name: "TCP_NOTSENT_LOWAT", Level: solTCP, Num: 25, Kind: Bytes, Min: 0, Max: 1<<31 - 1, Phases: everywhere, Sides: Both, Inherited: true, Reads: ReadsEqual,
		Doc: "A socket is writable only while less than this is written and not yet sent: it moves the queue out of the kernel. " +
			"It acts on writers that wait for writability."},
	{Name: "SO_RCVTIMEO", Level: solSocket, Num: 20, Kind: Timeval, Min: 0, Max: 1 << 40, Phases: everywhere, Sides: Both, Networks: TCP | UDP | Unix,
		Inherited: true, Reads: ReadsRounded, Blocking: true,
		Doc: "How long a blocking read waits; 0s waits for ever. Rounded up to the kernel's clock tick. Non-blocking sockets ignore it."},
	{Name: "SO_SNDTIMEO", Level: solSocket, Num: 21, Kind: Timeval, Min: 0, Max: 1 << 40, Phases: everywhere, Sides: Both, Networks: TCP | UDP | Unix,
		Inherited: true, Reads: ReadsRounded, Blocking: true,
		Doc: "How long a blocking write (and a blocking connect) waits; 0s waits for ever. Non-blocking sockets ignore it."},
	{Name: "SO_LINGER", Level: solSocket, Num: 13, Kind: LingerTime, Min: 0, Max: 32767, Phases: everywhere, Sides: Both, Inherited: true, Reads: ReadsEqual,
		Doc: "What close does with unsent data: off sends it in the background, 0s throws it away and resets the connection, " +
			"a time waits for it that long."},
	{Name: "TCP_CONGESTION", Level: solTCP, Num: 13, Kind: Name, Phases: everywhere, Sides: Both, Inherited: true, Reads: ReadsEqual,
		Doc: "Congestion control by name. Those outside net.ipv4.tcp_allowed_congestion_control need CAP_NET_ADMIN."},
	{Name: backlog, Kind: Count, Min: 0, Max: 1<<31 - 1, Phases: Listen, Sides: Server, Networks: TCP | Unix, Reads: ReadsEqual, Cap: "net.core.somaxconn",
		Doc: "The second argument of listen(2): connections the kernel holds that were not accepted yet. Default: net.core.somaxconn."},
}

// backlog is the one entry that is no socket option.
const backlog = "backlog"
