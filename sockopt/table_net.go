package sockopt

// lossOptions are about what is done when packets are lost.
var lossOptions = []Option{
	{Name: "TCP_CONGESTION", Level: solTCP, Num: 13, Kind: Name, Phases: everywhere, Sides: Both, Inherited: true, Reads: ReadsEqual,
		Privilege: netAdmin + " for names outside net.ipv4.tcp_allowed_congestion_control",
		Needs:     "A path with a bottleneck or loss, and a transfer that is limited by it.",
		Doc: "Congestion control by name; those outside net.ipv4.tcp_allowed_congestion_control need CAP_NET_ADMIN. It is the sender's choice. With 1 % " +
			"loss at 40 ms and 50 Mbit/s, reno reached 5.5, cubic 5.0, and bbr filled the link; bbr in turn pays with retransmissions where " +
			"a queue is short. A result without the name of it is not comparable."},
	{Name: "TCP_RTO_MIN_US", Level: solTCP, Num: 45, Kind: Microseconds, Min: 2000, Max: 200_000, Phases: everywhere, Sides: Both, Inherited: true, Reads: ReadsRounded,
		RoundsTo: tick, RoundsBy: slowTick,
		Needs: "Loss of the last packets of a message on a path much shorter than 200 ms.",
		Doc: "The least time before unacknowledged data is sent again. 200 ms protects from delayed acknowledgements of other systems; inside a data " +
			"center it is what a request with a lost tail costs. Two clock ticks are the least the kernel takes, 200 ms the most; older kernels do not know it."},
	{Name: "TCP_RTO_MAX_MS", Level: solTCP, Num: 44, Kind: Milliseconds, Min: 1000, Max: 120_000, Phases: everywhere, Sides: Both, Inherited: true, Reads: ReadsRounded,
		RoundsTo: tick, RoundsBy: slowTick / 1000,
		Needs: "An outage of many seconds: fault=blackout.",
		Doc: "The most time between two retransmissions. They double from one to the next, so after a long outage a connection may notice its end " +
			"only minutes later; a smaller maximum finds it sooner. Older kernels do not know it."},
	{Name: "TCP_THIN_LINEAR_TIMEOUTS", Level: solTCP, Num: 16, Kind: Bool, Max: 1, Phases: everywhere, Sides: Both, Inherited: true, Reads: ReadsEqual,
		Needs: "Loss, and fewer than four packets in flight.",
		Doc: "on: a connection with few packets in flight repeats its retransmission timeout instead of doubling it, from the second one on. For " +
			"conversations of small messages over lossy paths."},
	{Name: "TCP_THIN_DUPACK", Level: solTCP, Num: 17, Kind: Bool, Max: 1, Phases: everywhere, Sides: Both, Reads: ReadsEqual,
		Refuse: "the kernel takes it and does nothing with it since RACK replaced it: it reads 0 whatever was set; for lossy conversations there is TCP_THIN_LINEAR_TIMEOUTS",
		Doc:    "Was to make connections with few packets in flight retransmit at the first duplicate acknowledgement. It is still accepted, and dead."},
	{Name: "SO_TXREHASH", Level: solSocket, Num: 74, Kind: Bool, Max: 1, Phases: everywhere, Sides: Both, Inherited: true, Reads: ReadsEqual,
		Needs: "Several routes of equal cost (ECMP) of which one is broken.",
		Doc: "off: a connection keeps its hash, and so its route, when it has to retransmit. on, the default, lets it try another one. It shows only where " +
			"routers choose among routes by that hash."},
}

// deviceOptions are about devices, queues and threads that wait.
var deviceOptions = []Option{
	{Name: "SO_RCVTIMEO", Level: solSocket, Num: 20, Kind: Timeval, Max: 1 << 40, Phases: everywhere, Sides: Both, Networks: TCP | UDP | Unix,
		Inherited: true, Reads: ReadsRounded, RoundsTo: tick, RoundsBy: slowTick, Blocking: true,
		Needs: "Sockets that block: targets such as blocking, thread, pool and fork, and engine block.",
		Doc: "How long a blocking read waits; 0s waits for ever. Rounded up to the kernel's clock tick, 4 ms at 250 Hz, so it is no clock for less: 100 us " +
			"came back after 8.0 ms. Non-blocking sockets ignore it, and so everything of Go's package net."},
	{Name: "SO_SNDTIMEO", Level: solSocket, Num: 21, Kind: Timeval, Max: 1 << 40, Phases: everywhere, Sides: Both, Networks: TCP | UDP | Unix,
		Inherited: true, Reads: ReadsRounded, RoundsTo: tick, RoundsBy: slowTick, Blocking: true,
		Needs: "Sockets that block, as for SO_RCVTIMEO, and a peer that does not read.",
		Doc: "How long a blocking write (and a blocking connect, which then fails with EINPROGRESS) waits; 0s waits for ever. A write that has moved some " +
			"bytes before it gives up returns how many: a program that does not look sends a torn message. Non-blocking sockets ignore it."},
	{Name: "SO_BUSY_POLL", Level: solSocket, Num: 46, Kind: Microseconds, Max: maxInt, Phases: everywhere, Sides: Both, Networks: TCP | UDP, Inherited: true, Reads: ReadsEqual,
		Condition: NAPI, Needs: busy,
		Doc: "How long a read that finds nothing spins on the device's queue before it sleeps, in place of an interrupt and a wake-up. The default is " +
			"net.core.busy_read. On loopback there is no such queue: 66.8 us stayed 66.8."},
	{Name: "SO_PREFER_BUSY_POLL", Level: solSocket, Num: 69, Kind: Bool, Max: 1, Phases: everywhere, Sides: Both, Networks: TCP | UDP, Inherited: true, Reads: ReadsEqual,
		Privilege: netAdmin + " for on", Condition: NAPI, Needs: busy,
		Doc: "on: the device's interrupts stay off as long as programs poll it often enough; the device's napi_defer_hard_irqs and gro_flush_timeout say how " +
			"long it waits for them. Without these it changes nothing."},
	{Name: "SO_BUSY_POLL_BUDGET", Level: solSocket, Num: 70, Kind: Count, Max: 65535, Phases: everywhere, Sides: Both, Networks: TCP | UDP, Inherited: true, Reads: ReadsNot,
		Privilege: netAdmin + " to raise it", Condition: NAPI, Needs: busy,
		Doc: "How many packets one busy poll takes from the device at most. It can only be set: the kernel does not tell it."},
	{Name: "SO_PRIORITY", Level: solSocket, Num: 12, Kind: Number, Max: maxInt, Phases: everywhere, Sides: Both, Networks: TCP | UDP, Reads: ReadsEqual,
		Privilege: netAdmin + " or CAP_NET_RAW from 7",
		Needs:     "A queueing discipline with classes on the way out, and something that competes.",
		Doc: "The class of this socket's packets inside this machine's own queues. Accepted sockets do not inherit it: a server sets it at established. " +
			"Where the device has one queue for all, as loopback, it changes nothing. Setting IP_TOS changes it too."},
	{Name: "IP_TOS", Level: solIP, Num: 1, Kind: Number, Max: 255, Phases: everywhere, Sides: Both, Networks: TCP | UDP, Inherited: true, Reads: ReadsEqual,
		Mask: 3, Condition: IPv4,
		Needs: "A path whose routers or queues treat packets by their DSCP.",
		Doc: "The byte of the IP header that holds the DSCP (184, or 0xb8, is EF). Its two lowest bits are ECN's, and TCP keeps them for itself: 255 " +
			"becomes 252. On a path that does not look at it, it changes nothing; an A/B that shows otherwise shows its noise."},
	{Name: "SO_RXQ_OVFL", Level: solSocket, Num: 40, Kind: Bool, Max: 1, Phases: everywhere, Sides: Both, Networks: UDP, Reads: ReadsEqual,
		Inert: "the kernel tells it in a control message of recvmsg, which nobody here reads; records count lost datagrams end to end",
		Needs: "A reader that takes control messages.",
		Doc:   "on: each recvmsg tells how many datagrams this socket has dropped because its buffer was full."},
}
