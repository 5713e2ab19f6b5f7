package plan

import (
	"encoding"
	"strings"

	"github.com/sockbench/sockbench/loadgen"
	"github.com/sockbench/sockbench/netpath"
	"github.com/sockbench/sockbench/targets"
	"github.com/sockbench/sockbench/wire"
)

// Text is what every knob's value implements. MarshalText is canonical: equal values give equal text.
type Text interface {
	encoding.TextMarshaler
	encoding.TextUnmarshaler
}

// unset is the level of every knob that leaves it at its default: for a socket option, not set at all.
const unset = "default"

// Knob is anything a plan, a flag or SOCKBENCH_* can set. Its Name is the plan key, the cell key, the report's column
// and, with '-' for '_', the flag.
type Knob struct {
	Name, Help string
	Default    Level              // canonical, but for "cpus", "source", "workers" and socket options, where "default" is a level
	Values     func() []string    // for completion and for errors; nil: any text its fields read
	Open       bool               // Values are not all there is
	Commas     bool               // levels may contain commas: the flag is repeated, never split
	Pairs      bool               // a level may be k=v,k=v, which a plan file writes as a mapping
	OpenLoop   bool               // acts only where a rate is named
	Server     bool               // acts inside the server only: of a target that is not ours it is refused
	Fields     func(*Spec) []Text // the first is read back as the canonical level; all are set
}

// Knobs lists them in the order they are shown. Socket options are knobs too, known to Lookup by their kernel names.
var Knobs = []Knob{
	{Name: "target", Default: "epoll", Values: models, Open: true, Commas: true,
		Help:   "the server under test: a model, all, exec: COMMAND or addr: ADDRESS",
		Fields: func(s *Spec) []Text { return []Text{&s.Target.Target} }},
	{Name: "workload", Default: "rr", Values: workloads,
		Help:   "what a unit of load is: " + loads(),
		Fields: func(s *Spec) []Text { return []Text{&s.Load.Workload} }},
	{Name: "framing", Default: "length", Values: framings,
		Help:   "how requests and replies look in the stream; http and resp (Redis) are for programs nobody wrote for this",
		Fields: func(s *Spec) []Text { return []Text{&s.Load.Framing, &s.Target.Framing} }},
	{Name: "keys", Default: "0",
		Help:   "with framing resp, how many keys requests ask for, each as often; 0: none, every request is PING",
		Fields: func(s *Spec) []Text { return []Text{&s.Load.Keys} }},
	{Name: "reads", Default: "100%",
		Help:   "with framing resp and keys, the share of requests that are GET; the others are SET",
		Fields: func(s *Spec) []Text { return []Text{&s.Load.Reads} }},
	{Name: "connections", Default: "16",
		Help:   "connections that carry requests",
		Fields: func(s *Spec) []Text { return []Text{&s.Load.Connections} }},
	{Name: "hold", Default: "0",
		Help:   "further connections, opened before the others, that stay open and carry nothing",
		Fields: func(s *Spec) []Text { return []Text{&s.Load.Hold} }},
	{Name: "source", Default: unset, Commas: true,
		Help:   "addresses of this machine that connections come from in turn, as 10.0.0.2,10.0.0.3: each has some 28,000 ports toward one server",
		Fields: func(s *Spec) []Text { return []Text{(*addresses)(&s.Load.Source)} }},
	{Name: "pipeline", Default: "1",
		Help:   "requests that a connection carries at one time; those that are ready together are written together",
		Fields: func(s *Spec) []Text { return []Text{&s.Load.Pipeline} }},
	{Name: "rate", Default: none,
		Help:   "requests offered per second, whatever the replies do; none: a closed loop, unless the arrivals set the rate",
		Fields: func(s *Spec) []Text { return []Text{(*offered)(&s.Load.Rate)} }},
	{Name: "arrivals", Default: "poisson", Values: arrivals, Open: true, Commas: true, OpenLoop: true,
		Help:   "when the requests of an open loop are due: " + arrivalForms(),
		Fields: func(s *Spec) []Text { return []Text{&s.Load.Arrivals} }},
	{Name: "think", Default: "0",
		Help:   "in a closed loop, how long after a reply the connection's next request is meant to leave",
		Fields: func(s *Spec) []Text { return []Text{&s.Load.Think} }},
	{Name: "dispatch", Default: "idle", Values: words(loadgen.Dispatches...), OpenLoop: true,
		Help:   "which connection takes a request that is due: idle is the first free one, and with none free the first that becomes so; sticky is each in turn, free or not",
		Fields: func(s *Spec) []Text { return []Text{&s.Load.Dispatch} }},
	{Name: "request", Default: "64",
		Help:   "bytes of a request, as the framing counts them; with framing http 0, which is GET, unless another size is named, which is POST",
		Fields: func(s *Spec) []Text { return []Text{&s.Load.Request, &s.Target.Request} }},
	{Name: "reply", Default: "64",
		Help:   "bytes of a reply, as the framing counts them",
		Fields: func(s *Spec) []Text { return []Text{&s.Load.Reply, &s.Target.Reply} }},
	{Name: "compress", Default: none,
		Help:   "how bodies are compressed, both ways: none, gzip:1 to gzip:9, zstd:1 to zstd:22; request and reply are the sizes before",
		Fields: func(s *Spec) []Text { return []Text{&s.Load.Compress, &s.Target.Compress} }},
	{Name: "compressible", Default: "50%",
		Help:   "with compress, the share of a body that repeats itself, where the rest is random: 0% to 100%",
		Fields: func(s *Spec) []Text { return []Text{&s.Load.Compressible, &s.Target.Compressible} }},
	{Name: "write", Default: "single", Values: words(loadgen.Writes...),
		Help:   "a request in one write, its head and body in two, both in one writev, or in two behind TCP_CORK",
		Fields: func(s *Spec) []Text { return []Text{&s.Load.Write} }},
	{Name: "write_size", Default: unset,
		Help: "most bytes of one write, on both sides (the client's alone where the server is not ours), up to 64KiB; default: as many as there are to write, but for bulk 64KiB",
		Fields: func(s *Spec) []Text {
			return []Text{(*bytesOrDefault)(&s.Load.WriteSize), (*bytesOrDefault)(&s.Target.WriteSize)}
		}},
	{Name: "read_size", Default: unset,
		Help: "most bytes of one read, on both sides (the client's alone where the server is not ours), up to 64KiB; default: 64KiB, or up to 16KiB where each connection has a buffer of its own; with io_uring as messages need it",
		Fields: func(s *Spec) []Text {
			return []Text{(*bytesOrDefault)(&s.Load.ReadSize), (*bytesOrDefault)(&s.Target.ReadSize)}
		}},
	{Name: "engine", Default: "epoll", Values: words(loadgen.EngineNames()...),
		Help:   "how the load generator moves bytes: " + engines(),
		Fields: func(s *Spec) []Text { return []Text{&s.Load.Engine} }},
	{Name: "pace", Default: "exact", Values: words(loadgen.Paces...), OpenLoop: true,
		Help:   "exact polls for the next due request, cheap sleeps until then",
		Fields: func(s *Spec) []Text { return []Text{&s.Load.Pace} }},
	{Name: "service_time", Default: "0", Server: true,
		Help:   "what the server does for each request: 50us, exp:50us, sleep:5ms or sleep:exp:5ms",
		Fields: func(s *Spec) []Text { return []Text{&s.Target.Service} }},
	{Name: "workers", Default: unset, Server: true,
		Help:   "threads, loops or processes of a server that has several; default: 8",
		Fields: func(s *Spec) []Text { return []Text{(*orDefault)(&s.Target.Workers)} }},
	{Name: "listener", Default: "shared", Values: words(targets.Listeners...), Server: true,
		Help:   "how workers accept: from one shared listening socket, or each from its own on the same port (reuseport), to which connections may also be steered by the CPU they arrive on (reuseport-cpu)",
		Fields: func(s *Spec) []Text { return []Text{&s.Target.Listener} }},
	{Name: "gomaxprocs", Default: unset, Server: true,
		Help:   "GOMAXPROCS of the server's process, or of each: how many threads run Go code at one time; default: as many as it has CPUs, and more in models of threads",
		Fields: func(s *Spec) []Text { return []Text{(*orDefault)(&s.Target.Procs)} }},
	{Name: "ready", Default: "port", Commas: true,
		Help:   "how target exec tells that it is ready: port, it accepts a connection; 'log: TEXT', a line of its output; 'http: /PATH', a status of 200 to 299",
		Fields: func(s *Spec) []Text { return []Text{&s.Target.Ready} }},
	{Name: "via", Default: none, Values: vias, Open: true, Commas: true,
		Help:   "what stands between clients and the target: none; proxy, which moves bytes by splice; or a command of yours, as 'exec: ./proxy {port} {upstream}'",
		Fields: func(s *Spec) []Text { return []Text{&s.Via} }},
	{Name: "path", Default: none, Values: paths, Open: true, Commas: true, Pairs: true,
		Help:   "the network between client and server: none, a loopback; veth, two namespaces; delay=10ms,rate=100mbit,queue=256KiB,loss=0.1% and the like, where delay is one way and up. or down. before a key is for one direction; or a preset",
		Fields: func(s *Spec) []Text { return []Text{&s.Path} }},
	{Name: "fault", Default: none, Values: faults, Open: true, Commas: true,
		Help:   "what befalls the path, at times since the measure phase began, with a semicolon between several: blackout@1s+500ms, stall@1s+200ms, loss:5%@1s+500ms, reset@1s",
		Fields: func(s *Spec) []Text { return []Text{(*befalls)(s)} }},
	{Name: "connect_timeout", Default: "3s",
		Help:   "how long a connection may take to be made",
		Fields: func(s *Spec) []Text { return []Text{&s.Load.ConnectTimeout} }},
	{Name: "request_timeout", Default: "5s",
		Help:   "how long a request may take, from when it was meant to leave; none: for ever",
		Fields: func(s *Spec) []Text { return []Text{(*patience)(&s.Load.RequestTimeout)} }},
	{Name: "idle_timeout", Default: "0",
		Help:   "a connection that carried nothing for so long is closed, and opened anew when it is needed; 0: it stays",
		Fields: func(s *Spec) []Text { return []Text{&s.Load.IdleTimeout} }},
	{Name: "requests_per_connection", Default: none,
		Help:   "in workload rr, the replies behind which the client closes a connection; it is opened anew when it is next needed, which is part of that request's response time; none: it stays",
		Fields: func(s *Spec) []Text { return []Text{(*bounded)(&s.Load.PerConnection)} }},
	{Name: "keep_awake", Default: "on", Values: words("on", "off"),
		Help:   "keep the CPUs in use from halting",
		Fields: func(s *Spec) []Text { return []Text{(*onOff)(&s.Regime.KeepAwake)} }},
	{Name: "real_time", Default: "off", Values: words("off", "on"),
		Help:   "run both sides under SCHED_RR, which takes CAP_SYS_NICE",
		Fields: func(s *Spec) []Text { return []Text{(*onOff)(&s.Regime.RealTime)} }},
	{Name: "cpus", Default: unset, Values: words(unset, Same, Apart), Open: true, Commas: true, Pairs: true,
		Help:   "which CPUs each side runs on, as server=0;client=1, which is also the choice of default on two CPUs; same: both on one; apart: on different ones, which default does only where there are two; what via names is a side of its own, by default where the server is, and so is the path's process, which by default runs on any",
		Fields: func(s *Spec) []Text { return []Text{(*seating)(s)} }},
}

// vias are what can stand in front of a target; exec takes a command.
func vias() []string {
	all := []string{none}
	for _, e := range targets.Proxies {
		all = append(all, e.Name)
	}
	return append(all, "exec:")
}

// paths are the paths that have a name.
func paths() []string {
	return append([]string{none, netpath.Veth}, netpath.PresetNames()...)
}

func faults() []string { return append([]string{none}, netpath.FaultKinds...) }

// engines says what each engine is.
func engines() string {
	var says []string
	for _, e := range loadgen.Engines {
		says = append(says, e.Name+" ("+e.Doc+")")
	}
	return strings.Join(says, ", ")
}

// loads says what each workload is.
func loads() string {
	var says []string
	for _, w := range loadgen.Workloads {
		says = append(says, w.Name+" ("+w.Doc+")")
	}
	return strings.Join(says, ", ")
}

// everyModel is the level of target that stands for all built-in models.
const everyModel = "all"

func models() []string {
	var names []string
	for _, e := range targets.All {
		if e.Foreign {
			e.Name += ":"
		}
		names = append(names, e.Name)
	}
	return append(names, everyModel)
}

// builtin is what "all" stands for.
func builtin() []string {
	var names []string
	for _, e := range targets.All {
		if !e.Foreign && !e.Teaching {
			names = append(names, e.Name)
		}
	}
	return names
}

func framings() []string {
	var names []string
	for _, f := range wire.All {
		names = append(names, f.Name)
	}
	return names
}

func workloads() []string {
	var names []string
	for _, w := range loadgen.Workloads {
		names = append(names, w.Name)
	}
	return names
}

func arrivals() []string {
	var names []string
	for _, l := range loadgen.Laws {
		if l.Example != "" {
			l.Name += ":"
		}
		names = append(names, l.Name)
	}
	return names
}

// arrivalForms lists how arrivals are written, those that need no rate last.
func arrivalForms() string {
	var with, without []string
	for _, l := range loadgen.Laws {
		if l.SetsRate {
			without = append(without, l.Form())
		} else {
			with = append(with, l.Form())
		}
	}
	return strings.Join(with, ", ") + "; or with a rate of their own: " + strings.Join(without, "; ")
}

func words(w ...string) func() []string { return func() []string { return w } }

// Default is the trial that nobody changed anything about, with neither warm-up nor duration.
func Default() Spec {
	var s Spec
	for _, k := range Knobs {
		if err := k.set(&s, k.Default); err != nil {
			panic("default of knob " + k.Name + ": " + err.Error()) // a mistake in the table, which its test finds
		}
	}
	return s
}
