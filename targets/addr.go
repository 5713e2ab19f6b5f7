package targets

import (
	"context"
	"fmt"
	"net"
	"time"
)

var addrEntry = Entry{
	Name:    "addr",
	Doc:     "A server that runs already, here or elsewhere. Nothing is known of it but its address.",
	Limit:   "Its processor time, its options and what it counted are unknown.",
	Example: "addr: tcp://10.0.0.5:9000",
	Foreign: true,
	Start:   startAddr,
}

const addrTimeout = 2 * time.Second // of the one connect that looks whether something listens

// foreign is a server at an address. Draining and closing it is not ours to do.
type foreign string

func startAddr(ctx context.Context, s Spec, _ Place) (Server, error) {
	network, at, err := endpoint(s.Target.Arg, onTCP, onUDP, onUnix)
	if err != nil {
		return nil, fmt.Errorf("target addr: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, addrTimeout)
	defer cancel()
	var d net.Dialer
	c, err := d.DialContext(ctx, network, at) // of UDP this says only that there is a way
	if err != nil {
		return nil, fmt.Errorf("target addr: nothing answers at %s: %w", s.Target.Arg, err)
	}
	if err := c.Close(); err != nil {
		return nil, fmt.Errorf("target addr: close the connection to %s: %w", s.Target.Arg, err)
	}
	return foreign(s.Target.Arg), nil
}

func (f foreign) Addr() string              { return string(f) }
func (foreign) PIDs() []int                 { return nil }
func (foreign) Drain(context.Context) error { return nil }
func (foreign) Close() error                { return nil }
func (foreign) Result() Result              { return Result{} }
