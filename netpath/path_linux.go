package netpath

import (
	"errors"
	"fmt"
	"math"
	"os"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Path is a live path. Its methods are for one goroutine at a time.
type Path struct {
	spec  Spec
	seed  uint64
	link  *link // of the backend that has one
	index [2]int
	done  bool
	last  Evidence
}

// Open makes a path between two other network namespaces, given by descriptors of theirs, with the calling process in the
// middle: it must be in a namespace of its own, with CAP_NET_ADMIN and CAP_NET_RAW there and CAP_SYS_ADMIN to enter the
// others. With the seed, the same frames have the same fate. Close the path; the ends lose their interfaces with the
// middle's namespace.
func Open(s Spec, seed uint64, client, server int) (p *Path, err error) {
	if err := s.Check(); err != nil {
		return nil, err
	}
	p = &Path{spec: s, seed: seed}
	if p.index[0], p.index[1], err = build(s, ends(client, server)); err != nil {
		return nil, fmt.Errorf("build the path: %w", err)
	}
	if s.backend() == Link {
		if p.link, err = newLink(s, seed, p.index[0], p.index[1]); err == nil {
			p.link.start()
		}
	} else {
		err = p.bridge()
	}
	if err != nil {
		return nil, fmt.Errorf("build the path: %w", err)
	}
	return p, nil
}

// Tune sets sysctls of the network namespaces given by descriptors, or of this process's own if there are none, and
// reports what each reads afterwards.
func Tune(sysctls Sysctls, namespaces ...int) (got Sysctls, err error) {
	all := func() error {
		for _, s := range sysctls {
			if err := put(s.Name, s.Value); err != nil {
				return errors.Join(err, refusedBecause(err))
			}
			b, err := os.ReadFile(sysctlFile(s.Name))
			if err != nil {
				return fmt.Errorf("read sysctl %s: %w", s.Name, err)
			}
			got = append(got, Sysctl{s.Name, canonical(string(b))})
		}
		return nil
	}
	if len(namespaces) == 0 {
		return got, all()
	}
	for _, ns := range namespaces {
		got = nil // the ends are equal
		if err := within(ns, all); err != nil {
			return nil, err
		}
	}
	return got, nil
}

// refusedBecause says what a refused sysctl needs.
func refusedBecause(err error) error {
	switch {
	case errors.Is(err, os.ErrNotExist):
		return errors.New("this kernel has no such sysctl in a network namespace")
	case errors.Is(err, os.ErrPermission):
		return errors.New("it belongs to the whole machine, not to a network namespace: only root of the host can set it, with sysctl -w")
	case errors.Is(err, unix.EINVAL):
		return errors.New("the kernel does not take that value")
	}
	return nil
}

// bridge joins the middle's interfaces in the kernel, and lets each send no faster than its direction's rate.
func (p *Path) bridge() error {
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.MTU = "middle", p.spec.mtu()
	b := &netlink.Bridge{LinkAttrs: attrs}
	if err := netlink.LinkAdd(b); err != nil {
		return fmt.Errorf("make the bridge: %w", err)
	}
	if err := netlink.LinkSetUp(b); err != nil {
		return fmt.Errorf("bring the bridge up: %w", err)
	}
	for i, d := range []Dir{p.spec.Down, p.spec.Up} { // towards the client, towards the server
		port, err := netlink.LinkByIndex(p.index[i])
		if err != nil {
			return err
		}
		if err := netlink.LinkSetMaster(port, b); err != nil {
			return fmt.Errorf("put %s into the bridge: %w", port.Attrs().Name, err)
		}
		if d.Rate == 0 {
			continue
		}
		rate := float64(d.Rate) / 8
		burst := max(float64(p.spec.mtu()+ethernetHead), rate/250) // what the rate makes in a tick of the slowest usual clock
		tbf := &netlink.Tbf{QdiscAttrs: netlink.QdiscAttrs{LinkIndex: p.index[i], Handle: netlink.MakeHandle(1, 0), Parent: netlink.HANDLE_ROOT},
			Rate: uint64(rate), Limit: uint32(min(float64(p.spec.Room(d))+burst, math.MaxUint32)),
			Buffer: netlink.Xmittime(uint64(rate), uint32(burst))}
		if err := netlink.QdiscAdd(tbf); err != nil {
			return fmt.Errorf("limit the rate of %s: %w", port.Attrs().Name, err)
		}
	}
	return nil
}

// Measure says when the measure phase is, in CLOCK_MONOTONIC nanoseconds, and what befalls the path in it. Only a path
// that is Emulated knows faults.
func (p *Path) Measure(from, to int64, faults Faults) error {
	if p.link == nil {
		if len(faults) > 0 {
			return fmt.Errorf("backend %s knows no faults", p.spec.backend())
		}
		return nil
	}
	return p.link.measure(phase{from, to, faults})
}

// Close ends the path and says what it saw. Frames under way are lost. Twice is fine.
func (p *Path) Close() (Evidence, error) {
	if p.done {
		return p.last, nil
	}
	p.done = true
	var err error
	if p.link != nil {
		err = p.link.stop()
		p.last = p.link.evidence()
		p.link.close()
	} else {
		p.last, err = p.counters()
	}
	p.last.Backend, p.last.Path, p.last.Seed = p.spec.backend(), p.spec.Long(), p.seed
	return p.last, err
}

// counters is the evidence that the kernel's backends leave: what came in on the middle's interfaces, and what the
// bottleneck dropped.
func (p *Path) counters() (e Evidence, err error) {
	for i, to := range []*DirStats{&e.Up, &e.Down} {
		in, err := netlink.LinkByIndex(p.index[i])
		if err != nil {
			return e, err
		}
		if s := in.Attrs().Statistics; s != nil {
			to.Frames, to.Bytes = int64(s.RxPackets), int64(s.RxBytes)
		}
		out, err := netlink.LinkByIndex(p.index[1-i])
		if err != nil {
			return e, err
		}
		qdiscs, err := netlink.QdiscList(out)
		if err != nil {
			return e, err
		}
		for _, q := range qdiscs {
			if s := q.Attrs().Statistics; q.Type() == "tbf" && s != nil && s.Queue != nil {
				to.QueueDrops += int64(s.Queue.Drops)
			}
		}
		d := p.spec.Up
		if i == 1 {
			d = p.spec.Down
		}
		to.Room = int64(p.spec.Room(d))
	}
	return e, nil
}
