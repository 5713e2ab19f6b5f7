package loadgen

import (
	"github.com/sockbench/sockbench/internal/clock"
	"github.com/sockbench/sockbench/wire"
)

// pipe is the requests of one connection that carries several at a time: replies come in the order of requests.
type pipe struct {
	conns    []int32 // a ring, the oldest request first
	first, n int
	unsent   int // the youngest so many are not being written yet
}

func newPipes(connections, depth int) []pipe {
	pipes, all := make([]pipe, connections), make([]int32, connections*depth)
	for i := range pipes {
		pipes[i].conns = all[i*depth : (i+1)*depth : (i+1)*depth]
	}
	return pipes
}

// push appends an unsent request, and says whether it is the only unsent one.
func (p *pipe) push(k int32) bool {
	*p.nth(p.n) = k
	p.n++
	p.unsent++
	return p.unsent == 1
}

func (p *pipe) nth(j int) *int32 {
	if j += p.first; j >= len(p.conns) {
		j -= len(p.conns)
	}
	return &p.conns[j]
}

// unwritten is the oldest unsent request, or none.
func (p *pipe) unwritten() int32 {
	if p.unsent == 0 {
		return none
	}
	return *p.nth(p.n - p.unsent)
}

// oldest is the oldest request that was written, or none; armed says that the youngest of those is not yet whole.
func (p *pipe) oldest(armed bool) int32 {
	sent := p.n - p.unsent
	if sent == 0 || armed && sent == 1 {
		return none
	}
	return p.conns[p.first]
}

// youngest is the request that was written last. There must be one.
func (p *pipe) youngest() int32 { return *p.nth(p.n - p.unsent - 1) }

// pop takes the oldest away.
func (p *pipe) pop() {
	if p.first++; p.first == len(p.conns) {
		p.first = 0
	}
	p.n--
}

// remove takes k out of wherever it stands.
func (p *pipe) remove(k int32, unsent bool) {
	for j := range p.n {
		if *p.nth(j) == k {
			for ; j < p.n-1; j++ {
				*p.nth(j) = *p.nth(j + 1)
			}
			if p.n--; unsent {
				p.unsent--
			}
			return
		}
	}
}

func (p *pipe) clear() { p.n, p.unsent = 0, 0 }

// gather lays out as many unwritten requests of connection i as fit into buf, and says of how many conns, so that one
// write takes them all.
func (e *engine) gather(i int32, buf []byte) (b []byte, n int) {
	p := &e.pipes[e.at(i)]
	now, used := clock.Now(), 0
	for p.unsent > 0 {
		k := p.unwritten()
		e.put(&e.frame, k)
		if e.frame.Len() > int64(len(buf)-used) {
			break
		}
		used += len(e.frame.Next(buf[used:]))
		e.laid(k, now)
		n++
	}
	return buf[:used], n
}

// scatter notes that only took bytes of the n requests that were gathered last have gone: the rest of the one that was
// cut is left in f, and those behind it are unwritten again.
func (e *engine) scatter(i int32, n int, took int64, f *wire.Frame) {
	p := &e.pipes[e.at(i)]
	first := p.n - p.unsent - n
	for j := range n {
		k := *p.nth(first + j)
		if e.put(f, k); took >= f.Len() {
			took -= f.Len()
			continue
		}
		f.Wrote(int(took))
		for j++; j < n; j++ {
			k := *p.nth(first + j)
			e.conns[k].queued, e.conns[k].wrote = true, 0
			p.unsent++
		}
		return
	}
}
