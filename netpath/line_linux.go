package netpath

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"
)

// line is frames on their way, first in, first out: a ring of bytes that the kernel gives pages to as they are used.
// A frame lies in one piece, behind its time and length, so that it is sent from where it lies.
type line struct {
	ring       []byte
	head, tail uint64 // bytes ever taken out and put in; the ring's size divides neither, see place
}

const (
	lineSize = 256 << 20
	lineHead = 16 // when it leaves, its length
	skip     = -1 // as a time: what follows is at the ring's beginning
)

func newLine() (*line, error) {
	m, err := unix.Mmap(-1, 0, lineSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_NORESERVE)
	if err != nil {
		return nil, fmt.Errorf("make room for %d MiB of frames: %w", lineSize>>20, err)
	}
	return &line{ring: m}, nil
}

// put adds a frame, or says that there is no room.
func (l *line) put(leaves int64, frame []byte) bool {
	need := uint64(lineHead+len(frame)+7) &^ 7
	at := l.tail % lineSize
	if at+need > lineSize { // the rest of the ring is too short for it
		if l.tail+(lineSize-at)+need-l.head > lineSize {
			return false
		}
		skipped := int64(skip)
		binary.NativeEndian.PutUint64(l.ring[at:], uint64(skipped))
		l.tail += lineSize - at
		at = 0
	}
	if l.tail+need-l.head > lineSize {
		return false
	}
	binary.NativeEndian.PutUint64(l.ring[at:], uint64(leaves))
	binary.NativeEndian.PutUint64(l.ring[at+8:], uint64(len(frame)))
	copy(l.ring[at+lineHead:], frame)
	l.tail += need
	return true
}

// at is the frame at a place between head and tail, and the place of the next; ok is false at the tail.
func (l *line) at(place uint64) (leaves int64, frame []byte, next uint64, ok bool) {
	if place == l.tail {
		return 0, nil, place, false
	}
	at := place % lineSize
	leaves = int64(binary.NativeEndian.Uint64(l.ring[at:]))
	if leaves == skip {
		return l.at(place + lineSize - at)
	}
	n := binary.NativeEndian.Uint64(l.ring[at+8:])
	return leaves, l.ring[at+lineHead:][:n:n], place + (lineHead+n+7)&^7, true
}

// first is when the next frame leaves.
func (l *line) first() (leaves int64, ok bool) {
	leaves, _, _, ok = l.at(l.head)
	return leaves, ok
}
