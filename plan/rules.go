package plan

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/sockbench/sockbench/loadgen"
	"github.com/sockbench/sockbench/netpath"
	"github.com/sockbench/sockbench/sockopt"
	"github.com/sockbench/sockbench/targets"
	"github.com/sockbench/sockbench/unit"
	"github.com/sockbench/sockbench/wire"
)

// subject is a cell on trial.
type subject struct {
	named  []string // knobs, in the order named
	cell   Cell
	spec   *Spec
	target *targets.Entry
}

// rule finds what cannot be run although each level alone could be. Knobs are those the sentence is about.
type rule func(s subject) (knobs []string, sentence string)

var rules = []rule{sizes, payloads, keyed, valued, theirs, streamed, pieces, counts, timeouts, openLoop, pacing, oneRate, command, inside, serverOptions, awaited, elsewhere, ownLoopback, seats, reachable, befallen}

// verdict is what is wrong with a cell: the part of it that is to blame, and a sentence that names the fix.
type verdict struct {
	blame string // the last of the knobs at fault that are named; "" if none is
	text  string
}

// judge finds what is wrong with c, a cell of the knobs named. brought: its target came with "all".
func judge(named []string, c Cell, spec *Spec, brought bool) (verdicts []verdict) {
	entry, err := targets.Find(spec.Target.Target.Model)
	if err != nil {
		return []verdict{{"target", "target: " + err.Error()}}
	}
	s := subject{named, c, spec, entry}
	var clashes []loadgen.Clash
	for _, r := range rules {
		knobs, sentence := r(s)
		clashes = append(clashes, loadgen.Clash{Knobs: knobs, Says: sentence})
	}
	if !brought {
		clashes = append(clashes, carried(spec, entry)...)
	}
	for _, clash := range append(clashes, spec.Load.Clashes()...) {
		knobs, sentence := clash.Knobs, clash.Says
		if sentence == "" {
			continue
		}
		v := verdict{text: s.part(knobs) + ": " + sentence}
		for _, knob := range knobs {
			if _, ok := c[knob]; ok {
				v.blame = knob
			}
		}
		verdicts = append(verdicts, v)
	}
	return verdicts
}

// part is the cell with only these knobs, in the order given.
func (s subject) part(knobs []string) string {
	var parts []string
	for _, knob := range knobs {
		if level, ok := s.cell[knob]; ok {
			parts = append(parts, knob+"="+level)
		}
	}
	return strings.Join(parts, ",")
}

func sizes(s subject) ([]string, string) {
	f, err := wire.Find(string(s.spec.Load.Framing))
	if err == nil {
		err = f.Check(s.spec.Load.Params())
	}
	if err != nil {
		return []string{"framing", "request", "reply", "compress"}, err.Error()
	}
	return nil, ""
}

// payloads refuses to say what bodies are like where they are filler and nobody looks at them.
func payloads(s subject) ([]string, string) {
	_, named := s.cell["compressible"]
	if _, compress := s.cell["compress"]; !named || compress { // compress=none beside others is what they are compared with
		return nil, ""
	}
	return []string{"compressible"}, "it acts on compressed bodies only: name a way to compress, for example compress=gzip:1, or leave it out"
}

// keyed refuses words about keys where none is asked for.
func keyed(s subject) (knobs []string, sentence string) {
	for _, knob := range []string{"keys", "reads"} {
		if _, named := s.cell[knob]; named {
			knobs = append(knobs, knob)
		}
	}
	switch {
	case len(knobs) == 0:
	case s.spec.Load.Framing != "resp":
		return append([]string{"framing"}, knobs...), "only framing resp asks for keys: write framing=resp, or leave it out"
	case s.spec.Load.Keys == 0 && slices.Contains(knobs, "reads"):
		return []string{"keys", "reads"}, "without keys every request is PING: name how many keys there are, for example keys=10k"
	}
	return nil, ""
}

// valued refuses the size of a value where no request, or no reply, holds one.
func valued(s subject) ([]string, string) {
	l := s.spec.Load
	if l.Framing != "resp" {
		return nil, ""
	}
	if _, named := s.cell["request"]; named && (l.Keys == 0 || l.Reads == 1) {
		return []string{"framing", "keys", "reads", "request"}, "only SET holds a value of so many bytes: write for example keys=10k,reads=90%, or leave request out"
	}
	if _, named := s.cell["reply"]; named && (l.Keys == 0 || l.Reads == 0) {
		return []string{"framing", "keys", "reads", "reply"}, "only the reply to GET holds a value of so many bytes: write for example keys=10k, or leave reply out"
	}
	return nil, ""
}

// theirs refuses a size of replies where only the server knows it.
func theirs(s subject) ([]string, string) {
	f, err := wire.Find(string(s.spec.Load.Framing))
	if _, named := s.cell["reply"]; err != nil || !named || !f.Theirs || !s.target.Foreign {
		return nil, ""
	}
	return []string{"target", "framing", "reply"}, fmt.Sprintf("with framing %s a reply is as long as the server makes it, and target %s is not ours: leave reply out", f.Name, s.target.Name)
}

// streamed refuses to send blocks in requests that hold none.
func streamed(s subject) ([]string, string) {
	l := s.spec.Load
	about, want := []string{"workload", "framing", "keys", "reads"}, unit.Share(1)
	switch {
	case l.Framing != "resp":
		return nil, ""
	case l.Workload == "stream-up":
		want = 0
	case l.Workload != "stream-down":
		return nil, ""
	}
	if l.Keys > 0 && l.Reads == want {
		return nil, ""
	}
	return about, fmt.Sprintf("its blocks are the values of keys: write keys=1,reads=%s", want)
}

// pieces refuses a size of writes, or of reads, where all that is written, or read, at one time is smaller.
func pieces(s subject) ([]string, string) {
	l := s.spec.Load
	f, err := wire.Find(string(l.Framing))
	if l.WriteSize == 0 && l.ReadSize == 0 || err != nil || f.Check(l.Params()) != nil || s.target.Datagrams {
		return nil, ""
	}
	_, request, reply := f.Lengths(l.Params())
	request, reply = request*int64(l.Pipeline), reply*int64(l.Pipeline)
	written, read := max(request, reply), max(request, reply)
	if s.target.Foreign { // where only the client's side is ours
		if written, read = request, reply; f.Theirs {
			read = math.MaxInt64
		}
	}
	for _, size := range []struct {
		knob    string
		is      unit.Bytes
		longest int64
	}{{"write_size", l.WriteSize, written}, {"read_size", l.ReadSize, read}} {
		if size.is > 0 && int64(size.is) >= size.longest {
			return []string{"target", "request", "reply", "pipeline", size.knob},
				fmt.Sprintf("nothing longer than %s is under way at one time, so that it cannot act: make it smaller, or request or reply larger", unit.Bytes(size.longest))
		}
	}
	return nil, ""
}

func counts(s subject) ([]string, string) {
	if s.spec.Load.Connections < 1 {
		return []string{"connections"}, "at least one connection is needed"
	}
	if s.spec.Load.Pipeline < 1 || s.spec.Load.Pipeline > loadgen.MaxPipeline {
		return []string{"pipeline"}, fmt.Sprintf("a connection carries 1 to %d requests at one time", loadgen.MaxPipeline)
	}
	if s.spec.Target.Procs > targets.ProcsMax {
		return []string{"gomaxprocs"}, fmt.Sprintf("each has caches of its own: at most %d", targets.ProcsMax)
	}
	return nil, ""
}

func timeouts(s subject) ([]string, string) {
	if s.spec.Load.ConnectTimeout == 0 {
		return []string{"connect_timeout"}, "nothing can be done in no time: write for example 5s"
	}
	return nil, ""
}

func openLoop(s subject) (knobs []string, sentence string) {
	if s.spec.Load.OpenLoop() {
		return nil, ""
	}
	for _, knob := range s.named {
		if k, err := Lookup(knob); err == nil && k.OpenLoop {
			knobs = append(knobs, knob)
		}
	}
	if len(knobs) == 0 {
		return nil, ""
	}
	return append([]string{"rate"}, knobs...), "it acts in an open loop only: name a rate, for example rate=20k"
}

// pacing refuses a word about how to wait for the next due request where nobody can.
func pacing(s subject) ([]string, string) {
	if _, named := s.cell["pace"]; !named || s.spec.Load.Pace != "exact" || !loadgen.Tasks(s.spec.Load.Engine) {
		return nil, ""
	}
	return []string{"engine", "pace"}, "to poll for the next due request would take the CPU from the connections' own threads: leave pace out"
}

// oneRate refuses a rate beside arrivals that set another one.
func oneRate(s subject) ([]string, string) {
	arrivals := s.spec.Load.Arrivals
	mean, sets := arrivals.SetsRate()
	if _, named := s.cell["rate"]; !named || !sets || mean > 0 && s.spec.Load.Rate == mean {
		return nil, ""
	}
	sentence := fmt.Sprintf("%s sets the rate itself: leave rate out", arrivals.Law)
	if mean > 0 {
		sentence += fmt.Sprintf(", or name its mean, rate=%s", mean)
	}
	return []string{"rate", "arrivals"}, sentence
}

// inside refuses knobs that act inside the server where the target does not let them.
func inside(s subject) (knobs []string, sentence string) {
	acts := slices.Concat(s.target.Knobs, placeholders(s.cell["target"]))
	for _, knob := range s.named {
		k, err := Lookup(knob)
		if err == nil && k.Server && !isOption(knob) && !slices.Contains(acts, knob) {
			knobs = append(knobs, knob)
		}
	}
	if len(knobs) == 0 {
		return nil, ""
	}
	return append([]string{"target"}, knobs...), fmt.Sprintf("it acts inside the server, and on target %s it cannot act: leave it out%s", s.target.Name, s.orFill(knobs[0]))
}

// orFill says how a command can be told of a knob.
func (s subject) orFill(knob string) string {
	if s.target.Name != "exec" {
		return ""
	}
	return fmt.Sprintf(", or write {%s} into the command", knob)
}

// options is what a target lists among its knobs when its sockets can be given options.
const options = "options"

// serverOptions refuses to promise anything about sockets of a server that is not ours.
func serverOptions(s subject) (knobs []string, sentence string) {
	if slices.Contains(s.target.Knobs, options) || len(s.spec.Target.Options) == 0 {
		return nil, ""
	}
	var fix []string
	for _, knob := range s.named {
		option, _ := splitOption(knob)
		if !slices.ContainsFunc(s.spec.Target.Options, func(o sockopt.Setting) bool { return o.Option == option }) || strings.HasPrefix(knob, "client.") {
			continue
		}
		knobs = append(knobs, knob)
		if knob == option && option != "backlog" {
			fix = append(fix, "client."+option)
		}
	}
	sentence = fmt.Sprintf("the server's sockets of target %s are not ours to give options: ", s.target.Name)
	if len(fix) == 0 {
		return append([]string{"target"}, knobs...), sentence + "leave it out"
	}
	return append([]string{"target"}, knobs...), sentence + "write " + strings.Join(fix, ", ")
}

// awaited refuses to wait for a word of a server that is no command.
func awaited(s subject) ([]string, string) {
	if slices.Contains(s.target.Knobs, "ready") || s.spec.Target.Ready == (targets.Ready{}) {
		return nil, ""
	}
	return []string{"target", "ready"}, fmt.Sprintf("target %s is no command that could tell when it is ready: leave ready out", s.target.Name)
}

// elsewhere refuses to pin a server that runs already, perhaps on another machine.
func elsewhere(s subject) ([]string, string) {
	if s.target.Name != "addr" || s.spec.CPUs[Server] == nil && s.spec.Beside == "" {
		return nil, ""
	}
	fix := "leave it out"
	if client := s.spec.CPUs[Client]; client != nil {
		fix = "write cpus=" + CPUs{Client: client}.String()
	}
	return []string{"target", "cpus"}, "the server runs already, so it cannot be given CPUs: " + fix
}

// reachable refuses a network of the trial's own to a server that is elsewhere, and sources that it does not have.
func reachable(s subject) (knobs []string, sentence string) {
	for _, knob := range s.named {
		if knob == "path" && !s.spec.Path.IsZero() || strings.HasPrefix(knob, sysctl) && s.cell[knob] != unset {
			knobs = append(knobs, knob)
		}
	}
	switch {
	case len(knobs) == 0:
		return nil, ""
	case s.target.Name == "addr":
		return append([]string{"target"}, knobs...), "the server runs already, in a network that is not the trial's: leave it out, or let the trial start the server, with target exec"
	case !s.spec.Path.IsZero() && len(s.spec.Load.Source) > 0:
		return []string{"path", "source"}, "a path's client has one address: leave source out"
	}
	return nil, ""
}

// befallen refuses faults where nothing could make them, and those that come too late.
func befallen(s subject) ([]string, string) {
	for _, f := range s.spec.Faults {
		if !s.spec.Path.Emulated() {
			return []string{"path", "fault"}, "a fault befalls an emulated path: name one, for example path=delay=0"
		}
		if s.spec.Load.Duration > 0 && f.At >= s.spec.Load.Duration {
			return []string{"fault"}, fmt.Sprintf("%s comes when the measure phase of %s is over: make duration longer", f, s.spec.Load.Duration)
		}
		if f.Kind == netpath.Reset && s.target.Datagrams {
			return []string{"target", "fault"}, fmt.Sprintf("target %s has no connections that could be reset", s.target.Name)
		}
	}
	return nil, ""
}

// ownLoopback refuses sources that the network namespace of a built-in target's trial does not have.
func ownLoopback(s subject) ([]string, string) {
	if s.target.Foreign || !s.spec.Path.IsZero() {
		return nil, ""
	}
	for _, ip := range s.spec.Load.Source {
		if !ip.IsLoopback() || !ip.Is4() {
			return []string{"target", "source"}, fmt.Sprintf("the trial of target %s has a network of its own, without %s: write addresses of 127.0.0.0/8, or leave it out", s.target.Name, ip)
		}
	}
	return nil, ""
}

// seats refuses to hold every connection that the target can serve at one time.
func seats(s subject) ([]string, string) {
	n := s.target.Serves(s.spec.Target)
	if n == 0 || int(s.spec.Load.Hold) < n {
		return nil, ""
	}
	return []string{"target", "workers", "hold"}, fmt.Sprintf("target %s serves %d at one time, and no connection would be left to carry requests: make hold smaller, or leave it out", s.target.Name, n)
}
