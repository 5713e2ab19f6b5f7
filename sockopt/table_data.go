package sockopt

// bufferOptions are about how much the kernel holds.
var bufferOptions = []Option{
	{Name: "SO_RCVBUF", Level: solSocket, Num: 8, Kind: Bytes, Max: maxInt, Phases: everywhere, Sides: Both, Networks: TCP | UDP,
		Inherited: true, Reads: ReadsDoubled, Cap: "net.core.rmem_max",
		Needs: "A path whose bandwidth × delay exceeds the buffer, a receiver that falls behind, or bursts of datagrams.",
		Doc: "Receive buffer: a ceiling on the window the peer may fill, and so on throughput = window / RTT. Setting it switches the kernel's " +
			"own growing of the buffer off, which goes further than the cap on what may be asked: a fixed buffer helps only where it is " +
			"smaller on purpose. Before connect it also bounds the window scale, later no more. At 40 ms and 50 Mbit/s, 16 KiB carried 3.6 Mbit/s, " +
			"256 KiB all of it. For UDP it is what a burst may hold before datagrams are lost."},
	{Name: "SO_SNDBUF", Level: solSocket, Num: 7, Kind: Bytes, Max: maxInt, Phases: everywhere, Sides: Both, Networks: TCP | UDP | Unix,
		Inherited: true, Reads: ReadsDoubled, Cap: "net.core.wmem_max",
		Needs: "A path whose bandwidth × delay exceeds the buffer, or a queue in the sender's own kernel that is to be short.",
		Doc: "Send buffer: how much may be written and not yet acknowledged. Setting it switches autotuning off. Too small it starves the path as " +
			"a small window does; smaller than a segment it makes the sender wait for delayed acknowledgements: 64 KiB writes through 4 KiB on " +
			"loopback came to 0.02 Gbit/s. The default grows at connect, so what a fresh socket says is not what a connection has."},
	{Name: "SO_RCVBUFFORCE", Level: solSocket, Num: 33, ReadNum: 8, Kind: Bytes, Max: maxInt / 2, Phases: everywhere, Sides: Both, Networks: TCP | UDP,
		Inherited: true, Reads: ReadsDoubled, Privilege: netAdmin,
		Needs: "As SO_RCVBUF, and more than net.core.rmem_max.",
		Doc: "As SO_RCVBUF, beyond net.core.rmem_max. It can only be set: what became of it is read through SO_RCVBUF. Autotuning reaches " +
			"net.ipv4.tcp_rmem's maximum without any privilege, which is usually the better way."},
	{Name: "SO_SNDBUFFORCE", Level: solSocket, Num: 32, ReadNum: 7, Kind: Bytes, Max: maxInt / 2, Phases: everywhere, Sides: Both, Networks: TCP | UDP | Unix,
		Inherited: true, Reads: ReadsDoubled, Privilege: netAdmin,
		Needs: "As SO_SNDBUF, and more than net.core.wmem_max.",
		Doc:   "As SO_SNDBUF, beyond net.core.wmem_max. It can only be set: what became of it is read through SO_SNDBUF."},
	{Name: "SO_BUF_LOCK", Level: solSocket, Num: 72, Kind: Number, Max: 3, Phases: everywhere, Sides: Both, Inherited: true, Reads: ReadsEqual,
		Needs: "Traffic that would make the kernel grow a buffer: a bulk transfer, a long path.",
		Doc: "Whether the buffers keep their size: 1 locks the send buffer, 2 the receive buffer, 3 both, 0 lets the kernel tune them. SO_SNDBUF " +
			"and SO_RCVBUF set these bits; to write 0 afterwards starts from a chosen size and still grows (131072 to 655069 under a bulk " +
			"transfer; locked it stayed)."},
	{Name: "SO_RESERVE_MEM", Level: solSocket, Num: 73, Kind: Bytes, Max: maxInt, Phases: everywhere, Sides: Both, Networks: TCP | UDP, Reads: ReadsRounded,
		RoundsTo: "whole pages", RoundsBy: 1<<16 - 1,
		Needs: "A memory control group that accounts for sockets, and memory pressure.",
		Doc: "Memory that is kept for this socket, so that it needs not ask for it under pressure. The kernel takes it only from a process in a memory " +
			"control group that accounts for sockets, and says that it is not supported otherwise."},
	{Name: "TCP_WINDOW_CLAMP", Level: solTCP, Num: 10, Kind: Bytes, Min: 1, Max: maxInt, Phases: everywhere, Sides: Both, Inherited: true, Reads: ReadsEqual,
		Cap: "the receive buffer that a connection begins with", RoundsTo: "the kernel's minimum", RoundsBy: 1151,
		Needs: "A path whose bandwidth × delay exceeds the clamp.",
		Doc: "The largest window this side announces: the ceiling of SO_RCVBUF without a fixed buffer. A clamp above the buffer that a connection begins " +
			"with is lost when it is set up. At 40 ms, 65535 bytes carried 12.8 of 48 Mbit/s."},
	{Name: "SO_RCVLOWAT", Level: solSocket, Num: 18, Kind: Bytes, Max: maxInt, Phases: everywhere, Sides: Both, Inherited: true, Reads: ReadsEqual,
		Cap: "half of the largest receive buffer (net.ipv4.tcp_rmem)", RoundsTo: "the kernel's minimum", RoundsBy: 1,
		Needs: "Messages that are known to be at least so long, or a bulk transfer: workload=stream-up or stream-down.",
		Doc: "A socket is readable only when so many bytes are there: fewer wake-ups for a reader of bulk (writes of 1 KB: 84.7 reads for a megabyte became " +
			"11.0). A message that is shorter is never seen. It makes the receive buffer larger if it has to."},
	{Name: "SO_SNDLOWAT", Level: solSocket, Num: 19, Kind: Bytes, Max: 1, Phases: Established, Sides: Both, Reads: ReadsEqual,
		Refuse: "Linux does not let it be set; when a socket is writable is for TCP_NOTSENT_LOWAT to say",
		Doc:    "How much room a send buffer must have to be called writable. On Linux it reads 1, and setting it fails with ENOPROTOOPT."},
	{Name: "TCP_NOTSENT_LOWAT", Level: solTCP, Num: 25, Kind: Bytes, Max: maxInt, Phases: everywhere, Sides: Both, Inherited: true, Reads: ReadsEqual,
		Needs: "A writer that waits for writability before each small write, and a path slower than it.",
		Doc: "A socket is writable only while less than this is written and not yet sent: it moves the queue out of the kernel, to where the program can " +
			"still change its mind. At 10 Mbit/s it cut the time from write to read from 403 to 35 ms at the same rate. It does not stop a " +
			"write that is under way, so a writer of large blocks fills the buffer all the same. The default is net.ipv4.tcp_notsent_lowat."},
	{Name: "TCP_INQ", Level: solTCP, Num: 36, Kind: Bool, Max: 1, Phases: everywhere, Sides: Both, Inherited: true, Reads: ReadsEqual,
		Inert: "the kernel tells it in a control message of recvmsg, which nobody here reads",
		Needs: "A reader that takes control messages.",
		Doc:   "on: each recvmsg tells how many bytes are still there, so that a reader can choose the size of its next read without another system call."},
}

// sendingOptions are about when data and acknowledgements leave, and how fast.
var sendingOptions = []Option{
	{Name: "TCP_NODELAY", Level: solTCP, Num: 1, Kind: Bool, Max: 1, Phases: everywhere, Sides: Both, Inherited: true, Reads: ReadsEqual,
		Needs: "A side that writes a message in several pieces and then waits: write=split.",
		Doc: "on: send small segments at once (no Nagle). It matters on the side that writes a message in several pieces: " +
			"Nagle holds the second until the peer's delayed acknowledgement, about 40 ms on Linux. On loopback 44 ms became 6.7 us; one " +
			"write for the whole message took 4.75 us and needs no option. Go's package net switches it on unasked."},
	{Name: "TCP_CORK", Level: solTCP, Num: 3, Kind: Bool, Max: 1, Phases: everywhere, Sides: Both, Inherited: true, Reads: ReadsEqual,
		Needs: "A program that takes the cork out again after each message: write=cork does.",
		Doc: "on: only full segments leave, until the cork is taken out or 200 ms have passed. It wins over TCP_NODELAY, and accepted sockets " +
			"inherit it. As a plain option, never taken out, it shows what is lost by forgetting that: 208 ms for each request."},
	{Name: "MSG_MORE", Level: noLevel, Num: 0x8000, Kind: Bool, Max: 1, Phases: Established, Sides: Both, Reads: ReadsNot,
		Refuse: "it is a flag of each send, not an option of the socket: write=cork sends the same segments",
		Doc: "Says with a send that more is coming, so that the kernel waits for it: what TCP_CORK does without its two system calls (4.8 against " +
			"5.5 us for a request in two pieces). The last send has to leave it out."},
	{Name: "TCP_QUICKACK", Level: solTCP, Num: 12, Kind: Bool, Max: 1, Phases: Established | EachRead, Sides: Both, Reads: ReadsEqual,
		Needs: "A peer that holds data back until the last is acknowledged (Nagle) and cannot be changed.",
		Doc: "on: acknowledge at once. The kernel falls back by itself, so it acts reliably only as on@each_read: set once it left 44.0 ms at 44.0, " +
			"set after each read it made 7.6 us of them."},
	{Name: "TCP_DELACK_MAX_US", Level: solTCP, Num: 46, Kind: Microseconds, Min: 2000, Max: 200_000, Phases: everywhere, Sides: Both, Inherited: true, Reads: ReadsRounded,
		RoundsTo: tick, RoundsBy: slowTick,
		Needs: "A peer that waits for an acknowledgement (Nagle).",
		Doc: "The longest time an acknowledgement is held back. Two clock ticks are the least the kernel takes, 200 ms the most; older kernels do not " +
			"know it. With 8 ms the 44 ms of Nagle and delayed acknowledgement became 12."},
	{Name: "TCP_MAXSEG", Level: solTCP, Num: 2, Kind: Bytes, Min: 88, Max: 32767, Phases: Fresh | Listen, Sides: Both, Inherited: true, Reads: ReadsPayload,
		Cap:   "the path's segment size or half of the peer's window",
		Needs: "A bulk transfer, or a path that loses large packets.",
		Doc: "The largest segment this side asks for and sends. A connection tells what is left of it for data: 12 bytes less where TCP timestamps are on. " +
			"After connect the kernel takes it without an error and without effect. Small segments cost CPU time and headers: with 536 a 50 Mbit/s " +
			"path carried some 45 instead of 48."},
	{Name: "SO_MAX_PACING_RATE", Level: solSocket, Num: 47, Kind: BytesPerSecond, Max: 1 << 53, Phases: everywhere, Sides: Both, Inherited: true, Reads: ReadsEqual,
		Needs: "A sender that would be faster.",
		Doc: "The most bytes per second a connection sends, evenly spaced. Without the queueing discipline fq TCP's own timers do the pacing. 1.25 MB/s " +
			"gave 9.99 Mbit/s. 0 is accepted and does not pace."},
	{Name: "TCP_TX_DELAY", Level: solTCP, Num: 37, Kind: Microseconds, Max: 1<<28 - 1, Phases: everywhere, Sides: Both, Inherited: true, Reads: ReadsEqual,
		Condition: FairQueue,
		Needs:     "The queueing discipline fq on the way out.",
		Doc: "Delays everything this socket sends, to emulate a longer path. Without fq it is taken and does nothing (4.59 us against 4.64): an emulated " +
			"path (path=delay=…) does it everywhere."},
	{Name: "SO_ZEROCOPY", Level: solSocket, Num: 60, Kind: Bool, Max: 1, Phases: everywhere, Sides: Both, Networks: TCP | UDP, Inherited: true, Reads: ReadsEqual,
		Inert: "it allows sends with MSG_ZEROCOPY, and nobody here makes them",
		Needs: "Large sends with MSG_ZEROCOPY through a real network device.",
		Doc: "on: sends with the flag MSG_ZEROCOPY may use the program's memory instead of a copy. The program must not touch it until the error queue says " +
			"that it is free. On loopback the kernel copies all the same, and says so there."},
	{Name: "UDP_SEGMENT", Level: solUDP, Num: 103, Kind: Bytes, Max: 65535, Phases: everywhere, Sides: Both, Networks: UDP, Reads: ReadsEqual,
		Refuse: "one write becomes many datagrams, while here each is one request or reply: target udp-batch sends many with one call",
		Doc: "The kernel cuts one large send into datagrams of this size (GSO): 48 of 1200 bytes at once sent 1.34 million a second, where single sends " +
			"made 0.58. Count what arrives: 17 % of them were lost."},
	{Name: "UDP_GRO", Level: solUDP, Num: 104, Kind: Bool, Max: 1, Phases: everywhere, Sides: Both, Networks: UDP, Reads: ReadsEqual,
		Refuse: "one read returns many datagrams, while here each is one request or reply: target udp-batch receives many with one call",
		Doc: "on: datagrams of one size that arrive together are read together; a control message tells the size to cut them by. With UDP_SEGMENT on the " +
			"other side 6.4 million a second arrived."},
}
