package uring

import (
	"encoding/binary"
	"sync/atomic"
	"unsafe"
)

// provide maps the buffers for Recv and hands all of them to the kernel.
func (r *Ring) provide(count, size int) error {
	ring, err := r.Memory(count * int(unsafe.Sizeof(buf{})))
	if err != nil {
		return err
	}
	if r.bufMem, err = r.Memory(count * size); err != nil {
		return err
	}
	r.bufs, r.bufLen = unsafe.Slice((*buf)(unsafe.Pointer(&ring[0])), count), size
	if err := r.register(registerPbufRing, unsafe.Pointer(&bufReg{addr: address(ring), entries: uint32(count)}), 1); err != nil {
		return err
	}
	for id := range count {
		r.give(uint16(id))
	}
	return nil
}

// Buffer is what a Recv received: nil if nothing. It is valid until it is recycled.
func (r *Ring) Buffer(c *Completion) []byte {
	if c.flags&cqeBuffer == 0 || c.Res <= 0 {
		return nil
	}
	at := int(c.flags>>16) * r.bufLen
	return r.bufMem[at : at+int(c.Res) : at+r.bufLen]
}

// Recycle gives the buffer of a Recv back to the kernel, exactly once for each completion, even one without a Buffer. It
// makes no system call; the kernel has it with the next Wait.
func (r *Ring) Recycle(c *Completion) {
	if c.flags&cqeBuffer != 0 {
		r.give(uint16(c.flags >> 16))
	}
}

func (r *Ring) give(id uint16) {
	b := &r.bufs[int(r.bufTail)&(len(r.bufs)-1)]
	b.addr, b.len, b.id = address(r.bufMem[int(id)*r.bufLen:]), uint32(r.bufLen), id // and not its tail
	r.bufTail++
}

// showBuffers stores the tail, 16 bits, together with the 16 bits before it, which are ours too: Go has no atomic store
// of 16 bits.
func (r *Ring) showBuffers() {
	var word [4]byte
	binary.NativeEndian.PutUint16(word[:2], r.bufs[0].id)
	binary.NativeEndian.PutUint16(word[2:], r.bufTail)
	at := unsafe.Add(unsafe.Pointer(&r.bufs[0]), unsafe.Offsetof(buf{}.id))
	atomic.StoreUint32((*uint32)(at), binary.NativeEndian.Uint32(word[:]))
	r.bufShown = r.bufTail
}
