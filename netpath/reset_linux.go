package netpath

import (
	"encoding/binary"
	"math"
)

// forgetter is the fault reset: from a set time on, the path behaves like a firewall or a load balancer that has lost its
// table. Connections opened later pass; a frame of an older one is answered with a RST, and its receiver gets one too.
// Nobody is told before somebody speaks.
type forgetter struct {
	active bool
	times  []int64         // to come
	known  map[uint32]bool // by both ports; false: it was reset
}

func newForgetter() *forgetter { return &forgetter{known: map[uint32]bool{}} }

// plan takes the resets of a measure phase.
func (f *forgetter) plan(p *phase) {
	for _, one := range p.faults {
		if one.Kind == Reset {
			f.times = append(f.times, p.from+int64(one.At))
		}
	}
}

// next is when the next reset is.
func (f *forgetter) next() int64 {
	if len(f.times) == 0 {
		return math.MaxInt64
	}
	return f.times[0]
}

// look forgets everything when it is time to.
func (f *forgetter) look(now int64) {
	for now >= f.next() {
		f.active, f.times = true, f.times[1:]
		clear(f.known)
	}
}

// What is looked at in a frame, from the beginning of its IPv4 header or of its TCP header.
const (
	ipv4Least   = 20
	ipv4Proto   = 9
	ipv4Addrs   = 12
	tcpProtocol = 6
	tcpLeast    = 20
	tcpFlags    = 13

	flagSYN, flagRST, flagACK = 0x02, 0x04, 0x10
)

// forgotten says whether a frame is of a connection that the path no longer knows: it is then answered, and goes nowhere.
func (l *link) forgotten(d *direction, t int64, frame []byte) bool {
	ip := frame[vnetHead+ethernetHead:]
	if len(ip) < ipv4Least || ip[0]>>4 != 4 || ip[ipv4Proto] != tcpProtocol {
		return false
	}
	head := int(ip[0]&15) * 4
	if len(ip) < head+tcpLeast {
		return false
	}
	tcp := ip[head:]
	up := d == l.dirs[0]
	flow := binary.BigEndian.Uint32(tcp) // the sender's port first
	if !up {
		flow = flow<<16 | flow>>16
	}
	flags := tcp[tcpFlags]
	known, met := l.resets.known[flow]
	switch {
	case up && flags&(flagSYN|flagACK) == flagSYN:
		l.resets.known[flow] = true
		return false
	case known || flags&flagRST != 0:
		return false
	case !met:
		d.stats.Resets++
		l.resets.known[flow] = false
	}
	back := l.dirs[0]
	if up {
		back = l.dirs[1]
	}
	back.express.put(t, rst(frame, tcp, true))
	d.express.put(t, rst(frame, tcp, false))
	return true
}

// rst is the RST that a frame with this TCP header brings about: for its sender, or for its receiver. Each carries the
// sequence number that its receiver expects next (RFC 5961, section 3).
func rst(frame, tcp []byte, toSender bool) []byte {
	const headers = vnetHead + ethernetHead
	out := make([]byte, headers+ipv4Least+tcpLeast)
	eth, ip, head := out[vnetHead:], out[headers:], out[headers+ipv4Least:]
	copy(eth, frame[vnetHead:headers])
	copy(ip[ipv4Addrs:ipv4Least], frame[headers+ipv4Addrs:])
	copy(head[:4], tcp[:4])
	copy(head[4:8], tcp[4:8])
	if toSender {
		copy(eth[:6], frame[vnetHead+6:])
		copy(eth[6:12], frame[vnetHead:])
		copy(ip[12:16], frame[headers+16:])
		copy(ip[16:20], frame[headers+12:])
		copy(head[:2], tcp[2:4])
		copy(head[2:4], tcp[:2])
		copy(head[4:8], tcp[8:12])
	}
	ip[0], ip[8], ip[ipv4Proto] = 0x45, 64, tcpProtocol
	binary.BigEndian.PutUint16(ip[2:], ipv4Least+tcpLeast)
	binary.BigEndian.PutUint16(ip[10:], checksum(0, ip[:ipv4Least]))
	head[12], head[tcpFlags] = tcpLeast/4<<4, flagRST
	binary.BigEndian.PutUint16(head[16:], checksum(tcpProtocol+tcpLeast, ip[ipv4Addrs:ipv4Least], head))
	return out
}

// checksum is the Internet checksum (RFC 1071) of a sum already made and of pieces of even length.
func checksum(sum uint32, pieces ...[]byte) uint16 {
	for _, p := range pieces {
		for i := 0; i < len(p); i += 2 {
			sum += uint32(binary.BigEndian.Uint16(p[i:]))
		}
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}
