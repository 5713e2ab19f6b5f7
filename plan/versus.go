package plan

import "maps"

// Versus is a plan of two cells of p alone, as variants of these names, in this order. The knobs in which they agree are
// fixed; what else p says stands.
func (p *Plan) Versus(names [2]string, cells [2]Cell) (*Plan, error) {
	raw := p.raw()
	raw.Factors, raw.Exclude = nil, nil
	raw.Variants = []Variant{{names[0], Cell{}}, {names[1], Cell{}}}
	for _, f := range p.Factors {
		switch {
		case f.Knob == variant && len(p.Variants) > 0:
			for i, c := range cells {
				for _, v := range p.Variants {
					if v.Name == c[variant] {
						maps.Copy(raw.Variants[i].Knobs, v.Knobs)
					}
				}
			}
		case cells[0][f.Knob] == cells[1][f.Knob]:
			raw.Factors = append(raw.Factors, Factor{f.Knob, []Level{cells[0][f.Knob]}})
		default:
			for i, c := range cells {
				raw.Variants[i].Knobs[f.Knob] = c[f.Knob]
			}
		}
	}
	return made(build(raw, 0, false))
}
