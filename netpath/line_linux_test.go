package netpath

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"golang.org/x/sys/unix"
)

// A line gives back what was put into it, in order, whatever the lengths and however often the ring goes round.
func TestLine(t *testing.T) {
	l := line{ring: make([]byte, lineSize)}
	rng := rand.New(rand.NewPCG(1, 2))
	type put struct {
		leaves int64
		frame  []byte
	}
	var under []put
	var at int64
	full := 0
	for range 600_000 {
		if rng.IntN(100) < 55 {
			at++
			frame := make([]byte, 1+rng.IntN(frameMax))
			for i := 0; i < len(frame); i += 97 {
				frame[i] = byte(at + int64(i))
			}
			if l.put(at, frame) {
				under = append(under, put{at, frame})
			} else {
				full++
			}
			continue
		}
		leaves, frame, next, ok := l.at(l.head)
		if ok != (len(under) > 0) {
			t.Fatalf("frames: %v, want %d", ok, len(under))
		}
		if !ok {
			continue
		}
		if want := under[0]; leaves != want.leaves || !bytes.Equal(frame, want.frame) {
			t.Fatalf("a frame of %d ns and %d bytes, want %d ns and %d bytes", leaves, len(frame), want.leaves, len(want.frame))
		}
		l.head, under = next, under[1:]
	}
	if full == 0 || l.tail < 2*lineSize {
		t.Errorf("full %d times, %d bytes put: the ring did not go round, or was never full", full, l.tail)
	}
}

func TestLineIsBounded(t *testing.T) {
	l := line{ring: make([]byte, lineSize)}
	frame := make([]byte, frameMax)
	n := 0
	for l.put(1, frame) {
		n++
	}
	if got := n * len(frame); got > lineSize || got < lineSize*9/10 {
		t.Errorf("%d bytes of frames fit", got)
	}
}

func TestLineDoesNotAllocate(t *testing.T) {
	l := line{ring: make([]byte, lineSize)}
	frame := make([]byte, 1514)
	if n := testing.AllocsPerRun(1000, func() { l.put(1, frame); _, _, l.head, _ = l.at(l.head) }); n != 0 {
		t.Errorf("%v allocations a frame", n)
	}
}

// What a link answers with is what a TCP accepts: the addresses and ports of the other direction, the sequence number that
// its receiver expects, and checksums that come out right.
func TestRST(t *testing.T) {
	frame := make([]byte, vnetHead+ethernetHead+40+5)
	eth := frame[vnetHead:]
	copy(eth, []byte{2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0})
	ip := eth[ethernetHead:]
	copy(ip, []byte{0x45, 0, 0, 45, 0, 0, 0, 0, 64, 6, 0, 0, 198, 18, 0, 1, 198, 18, 0, 2})
	tcp := ip[20:]
	binary.BigEndian.PutUint16(tcp, 40000)
	binary.BigEndian.PutUint16(tcp[2:], 80)
	binary.BigEndian.PutUint32(tcp[4:], 1111)
	binary.BigEndian.PutUint32(tcp[8:], 2222)
	tcp[12], tcp[13] = 5<<4, flagACK
	for _, c := range []struct {
		toSender bool
		from     uint16
		seq      uint32
		lastMAC  byte
	}{{true, 80, 2222, 1}, {false, 40000, 1111, 2}} {
		r := rst(frame, tcp, c.toSender)
		ip := r[vnetHead+ethernetHead:]
		head := ip[20:]
		if r[vnetHead+5] != c.lastMAC || binary.BigEndian.Uint16(head) != c.from || binary.BigEndian.Uint32(head[4:]) != c.seq || head[13] != flagRST {
			t.Errorf("to the sender: %v: % x", c.toSender, r)
		}
		if checksum(0, ip[:20]) != 0 || checksum(tcpProtocol+20, ip[12:20], head) != 0 {
			t.Errorf("to the sender: %v: its checksums are wrong: % x", c.toSender, r)
		}
	}
}

func TestNetworkOrder(t *testing.T) {
	if networkOrder(unix.ETH_P_IP) != 0x0008 {
		t.Error("wrong way round")
	}
}
