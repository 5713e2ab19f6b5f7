package netpath

import (
	"fmt"
	"strings"
	"time"

	"github.com/sockbench/sockbench/internal/near"
	"github.com/sockbench/sockbench/unit"
)

// Preset is a path that people talk about, with numbers and where they are from. It is an example of its kind, not a
// measurement of anyone's network.
type Preset struct {
	Name   string
	Spec   Spec
	Doc    string
	Source string
}

const (
	us   = unit.Duration(time.Microsecond)
	ms   = unit.Duration(time.Millisecond)
	mbit = unit.Bits(1_000_000)
)

// both is a path that is the same in both directions.
func both(d Dir) Spec { return Spec{Up: d, Down: d} }

// Presets lists them from near to far.
var Presets = []Preset{
	{"same-rack", both(Dir{Delay: 50 * us}), "RTT 0.1 ms and what the emulation adds, some 0.2 ms; no limit on the rate",
		"the order of a switch and two network cards; at this scale the emulation is the larger part: veth is the honest choice for differences below 1 ms"},
	{"same-region", both(Dir{Delay: 500 * us, Rate: 500 * mbit}), "RTT 1 ms, 500 Mbit/s",
		"round trips of 0.3 to 1.5 ms between availability zones as several people measured them on EC2; the rate is what the emulation can do"},
	{"cross-region", both(Dir{Delay: 32 * ms, Rate: 500 * mbit}), "RTT 64 ms, 500 Mbit/s",
		"between the coasts of North America; Azure's published round trips within North America are 5 to 72 ms (October 2019); the rate is what the emulation can do"},
	{"transatlantic", both(Dir{Delay: 38 * ms, Rate: 200 * mbit, Loss: 0.0001}), "RTT 76 ms, 200 Mbit/s, 0.01 % loss",
		"London to New York is 5,570 km; in glass, at two thirds of the speed of light, and a third longer than the great circle, that is 74 ms there and back; the loss is an assumption"},
	{"4g", Spec{Up: Dir{Delay: 85 * ms, Jitter: 10 * ms, Rate: 9 * mbit}, Down: Dir{Delay: 85 * ms, Jitter: 10 * ms, Rate: 9 * mbit}},
		"RTT 170 ms ± 20 ms, 9 Mbit/s", "WebPageTest's profile 4G: 9 Mbit/s both ways and 170 ms; the jitter is an assumption"},
	{"wifi-lossy", both(Dir{Delay: 2500 * us, Jitter: 2 * ms, Rate: 50 * mbit, Loss: 0.01}), "RTT 5 ms ± 4 ms, 50 Mbit/s, 1 % loss",
		"an assumption: a crowded room, where the radio's own repeats do not save every frame"},
	{"satellite", Spec{Up: Dir{Delay: 280 * ms, Rate: 5 * mbit}, Down: Dir{Delay: 280 * ms, Rate: 50 * mbit}}, "RTT 560 ms, 5 Mbit/s up, 50 Mbit/s down",
		"a geostationary satellite from the edge of its view: RFC 2488, section 2, has 279 ms for one way; the rates are an assumption"},
}

// PresetNames lists them.
func PresetNames() (names []string) {
	for _, p := range Presets {
		names = append(names, p.Name)
	}
	return names
}

func findPreset(name string) (Preset, error) {
	for _, p := range Presets {
		if p.Name == name {
			return p, nil
		}
	}
	return Preset{}, fmt.Errorf("no path %q: write none, veth, a preset (%s), or %s%s", name, strings.Join(PresetNames(), ", "), example, near.Suggest(name, PresetNames()))
}
