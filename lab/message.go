package lab

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/sockbench/sockbench/loadgen"
	"github.com/sockbench/sockbench/netpath"
	"github.com/sockbench/sockbench/results"
	"github.com/sockbench/sockbench/targets"
)

// Message is one line of JSON between the parent and a part; exactly one field is set.
//
// The parent says Carry, Serve or Load, the part answers Ready; so does the server part when it has accepted as many connections
// as Settle says. The parent says Window, and then there is silence until the
// window has passed. The client part answers Done by itself, the others when they are told Finish. A part that
// cannot go on says Error and ends.
type Message struct {
	Carry  *Carry          `json:"carry,omitempty"`
	Serve  *Serve          `json:"serve,omitempty"`
	Load   *Load           `json:"load,omitempty"`
	Ready  *Ready          `json:"ready,omitempty"`
	Settle int             `json:"settle,omitempty"`
	Window *loadgen.Window `json:"window,omitempty"`
	Finish bool            `json:"finish,omitempty"`
	Done   *Done           `json:"done,omitempty"`
	Error  string          `json:"error,omitempty"`
}

// Serve is what a server part is told.
type Serve struct {
	Spec  targets.Spec  `json:"spec,omitzero"`
	Via   targets.Via   `json:"via,omitzero"` // what is to stand in front of Place.Upstream; zero: Spec is to be served
	Place targets.Place `json:"place"`
}

// Load is what a client part is told.
type Load struct {
	Spec  loadgen.Spec  `json:"spec"`
	Place loadgen.Place `json:"place"`
}

// Ready says that a server accepts, or that a client is connected.
type Ready struct {
	Addr     string `json:"addr,omitempty"`
	Attained int    `json:"attained,omitempty"`
}

// Done is what a part saw.
type Done struct {
	Client     *loadgen.Result   `json:"client,omitempty"`
	Histograms map[string]string `json:"histograms,omitempty"`
	Server     *targets.Result   `json:"server,omitempty"`
	Side       results.Side      `json:"side,omitzero"`
	Path       netpath.Evidence  `json:"path,omitzero"`
	Sysctls    netpath.Sysctls   `json:"sysctls,omitempty"`  // as they read after they were set
	Requests   []loadgen.Sample  `json:"requests,omitempty"` // of the client, if its Place asked for samples
	Served     []targets.Sample  `json:"served,omitempty"`   // of the server, if its Place did
}

// lineMax bounds one message: a result with all its histograms takes some 100 KiB.
const lineMax = 64 << 20

// channel speaks Messages. send and receive may each be used by one goroutine at a time.
type channel struct {
	in  *bufio.Scanner
	out io.Writer
}

func newChannel(in io.Reader, out io.Writer) *channel {
	s := bufio.NewScanner(in)
	s.Buffer(make([]byte, 64<<10), lineMax)
	return &channel{in: s, out: out}
}

func (c *channel) send(m Message) error {
	b, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("encode a message: %w", err)
	}
	_, err = c.out.Write(append(b, '\n'))
	return err
}

// receive returns the next message; io.EOF when the other side is gone. A message that is an Error is an error.
func (c *channel) receive() (m Message, err error) {
	if !c.in.Scan() {
		if err = c.in.Err(); err == nil {
			err = io.EOF
		}
		return m, err
	}
	if err := json.Unmarshal(c.in.Bytes(), &m); err != nil {
		return m, fmt.Errorf("a message that is none: %.80q", c.in.Text())
	}
	if m.Error != "" {
		return m, errors.New(m.Error)
	}
	return m, nil
}
