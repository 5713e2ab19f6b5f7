package main

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Bounds of what one scan may name.
const (
	manyHosts    = 256     // more take --yes
	maxEndpoints = 1 << 24 // hosts × ports, a byte of memory each
)

// portsFlag is ports, ascending and each once. Text: "22,80,8000-8010".
type portsFlag []uint16

func (p *portsFlag) Type() string { return "ports" }

func (p *portsFlag) Set(text string) error {
	for item := range strings.SplitSeq(text, ",") {
		first, last, isRange := strings.Cut(strings.TrimSpace(item), "-")
		if !isRange {
			last = first
		}
		a, err := parsePort(first)
		if err != nil {
			return err
		}
		b, err := parsePort(last)
		if err != nil {
			return err
		}
		if a > b {
			return fmt.Errorf("%d-%d runs backwards: write %d-%d", a, b, b, a)
		}
		for port := a; port <= b; port++ {
			*p = append(*p, uint16(port))
		}
	}
	slices.Sort(*p)
	*p = slices.Compact(*p)
	return nil
}

func parsePort(text string) (int, error) {
	port, err := strconv.Atoi(strings.TrimSpace(text))
	if err != nil {
		return 0, fmt.Errorf("%q is no port: write for example 80 or 1-1024", text)
	}
	if port < 1 || port > 65535 {
		return 0, fmt.Errorf("%d is no port: they are from 1 to 65535", port)
	}
	return port, nil
}

func (p portsFlag) String() string {
	var parts []string
	for i := 0; i < len(p); {
		j := i
		for j+1 < len(p) && p[j+1] == p[j]+1 {
			j++
		}
		part := strconv.Itoa(int(p[i]))
		if j > i {
			part += "-" + strconv.Itoa(int(p[j]))
		}
		parts = append(parts, part)
		i = j + 1
	}
	return strings.Join(parts, ",")
}

func (p portsFlag) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// host is one to be scanned.
type host struct {
	name string // as it was named, or an address of a range
	addr netip.Addr
}

// parseHosts reads names, addresses and ranges with commas between, and looks names up. Each address comes once.
func parseHosts(ctx context.Context, text string, ports int, yes bool) (hosts []host, err error) {
	items := strings.Split(text, ",")
	ranges := make([]netip.Prefix, len(items)) // invalid: a name
	named := 0
	for i := range items {
		items[i] = strings.TrimSpace(items[i])
		if ranges[i], err = parseHost(items[i]); err != nil {
			return nil, err
		}
		bits := 0
		if ranges[i].IsValid() {
			bits = ranges[i].Addr().BitLen() - ranges[i].Bits()
		}
		if named += 1 << min(bits, 30); named*ports > maxEndpoints {
			return nil, fmt.Errorf("%s with %d ports is more than one scan takes, %d ports in all: scan it in parts", items[i], ports, maxEndpoints)
		}
	}
	if named > manyHosts && !yes {
		return nil, fmt.Errorf("%s is %d hosts: name at most %d, or say by --yes that you mean it and they are yours to scan", text, named, manyHosts)
	}
	seen := map[netip.Addr]bool{}
	add := func(name string, addr netip.Addr) {
		if !seen[addr] {
			seen[addr] = true
			hosts = append(hosts, host{name, addr})
		}
	}
	for i, item := range items {
		if r := ranges[i]; r.IsValid() {
			for addr := r.Addr(); r.Contains(addr); addr = addr.Next() {
				add(addr.String(), addr)
			}
			continue
		}
		addr, err := lookup(ctx, item)
		if err != nil {
			return nil, broken(err)
		}
		add(item, addr)
	}
	return hosts, nil
}

// parseHost reads an address or a range of them; a name gives none.
func parseHost(text string) (netip.Prefix, error) {
	bare := text
	if strings.HasPrefix(text, "[") && strings.HasSuffix(text, "]") {
		bare = text[1 : len(text)-1]
	}
	if r, err := netip.ParsePrefix(bare); err == nil {
		return r.Masked(), nil
	}
	addr, err := netip.ParseAddr(bare)
	switch {
	case err == nil && addr.Zone() != "":
		return netip.Prefix{}, fmt.Errorf("%s: addresses with a zone cannot be scanned: name one without", text)
	case err == nil:
		addr = addr.Unmap()
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	case text == "" || strings.ContainsAny(text, ":/[] "):
		return netip.Prefix{}, fmt.Errorf("%q is no host: write localhost, 127.0.0.1, [::1] or 10.0.0.0/28, and ports behind --ports", text)
	}
	return netip.Prefix{}, nil
}

// lookup is a name's first address, IPv4 before IPv6.
func lookup(ctx context.Context, name string) (netip.Addr, error) {
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", name)
	if err != nil {
		return netip.Addr{}, err
	}
	for i := range addrs {
		addrs[i] = addrs[i].Unmap()
	}
	i := slices.IndexFunc(addrs, netip.Addr.Is4)
	return addrs[max(i, 0)], nil
}
