package results

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"iter"
)

const (
	longestLine = 64 << 20 // bytes: intervals of ten days
	batchBytes  = 1 << 20  // of lines that are parsed together
)

// lineReader reads trials.jsonl. What it says of the whole file holds when all batches were taken.
type lineReader struct {
	r    *bufio.Reader
	size int64 // of the whole lines, in bytes
	torn bool  // after these there is a part of one
	err  error
}

// batch is neighbouring lines.
type batch struct {
	first   int      // number of the first, from 1
	lines   [][]byte // until they are parsed; nil: longer than a line can be
	records []Record
	errs    []error // of each line that is no record
	done    chan struct{}
}

// parsed yields all batches in their order. So many workers parse them; only a few batches for each are in memory at one
// time, however long the file is.
func (l *lineReader) parsed(workers int) iter.Seq[*batch] {
	return func(yield func(*batch) bool) {
		work, ordered := make(chan *batch), make(chan *batch, 2*workers)
		go func() {
			defer close(work)
			defer close(ordered)
			for b := l.batch(1); b != nil; b = l.batch(b.first + len(b.errs)) {
				ordered <- b
				work <- b
			}
		}()
		for range workers {
			go func() {
				s := newShared()
				for b := range work {
					b.parse(s)
				}
			}()
		}
		for b := range ordered {
			<-b.done
			if !yield(b) {
				panic("results: a reader must take all batches") // else those that make them would wait forever
			}
		}
	}
}

// batch reads the next lines, of which n is the first's number; nil: there are none.
func (l *lineReader) batch(n int) *batch {
	b := &batch{first: n, done: make(chan struct{})}
	for bytes := 0; bytes < batchBytes; {
		line, size, err := l.line()
		if err == io.EOF {
			l.torn = l.torn || size > 0
			break
		}
		if err != nil {
			l.err = err
			break
		}
		b.lines = append(b.lines, line)
		bytes += len(line) + 64 // what an empty one takes too
		l.size += size
	}
	if len(b.lines) == 0 {
		return nil
	}
	b.records, b.errs = make([]Record, len(b.lines)), make([]error, len(b.lines))
	return b
}

// line reads one with its newline, and how long it is; nil: longer than a line can be.
func (l *lineReader) line() (line []byte, size int64, err error) {
	for {
		part, err := l.r.ReadSlice('\n')
		if size += int64(len(part)); size <= longestLine {
			line = append(line, part...)
		} else {
			line = nil
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return line, size, err
		}
	}
}

func (b *batch) parse(s *shared) {
	for i, line := range b.lines {
		if line == nil {
			b.errs[i] = fmt.Errorf("the line is longer than %d MiB: it is no trial", longestLine>>20)
			continue
		}
		b.records[i], b.errs[i] = parseLine(line, s.options)
		b.lines[i] = nil
	}
	b.lines = nil
	close(b.done)
}
