package proc

import (
	"fmt"
	"os"
)

// pipe is one pipe between the parent and its room.
type pipe struct{ parent, child *os.File }

// pipes makes pipes and remembers their ends, and the first error.
type pipes struct {
	all []pipe
	err error
}

func (p *pipes) toChild() pipe {
	r, w := p.make()
	return p.add(pipe{parent: w, child: r})
}

func (p *pipes) fromChild() pipe {
	r, w := p.make()
	return p.add(pipe{parent: r, child: w})
}

func (p *pipes) make() (r, w *os.File) {
	if p.err != nil {
		return nil, nil
	}
	r, w, err := os.Pipe()
	if err != nil {
		p.err = fmt.Errorf("make a pipe: %w", err)
	}
	return r, w
}

func (p *pipes) add(new pipe) pipe {
	if p.err == nil {
		p.all = append(p.all, new)
	}
	return new
}

// closeChildEnds may be called again.
func (p *pipes) closeChildEnds() {
	for _, one := range p.all {
		one.child.Close()
	}
}

func (p *pipes) closeParentEnds() {
	for _, one := range p.all {
		one.parent.Close()
	}
}
