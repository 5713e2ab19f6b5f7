package plan

import (
	"testing"

	"github.com/sockbench/sockbench/unit"
)

// Two cells of a plan with variants become a plan in which what they share is fixed and the rest is theirs.
func TestVersus(t *testing.T) {
	p, err := New("many", 7, 4, 0, unit.Duration(1e9), []Factor{
		{"target", []Level{"epoll", "goroutine"}}, {"connections", []Level{"8", "64"}}, {"write", []Level{"split"}}})
	if err != nil {
		t.Fatal(err)
	}
	p, err = p.With(Changes{Variants: []Variant{{"a", Cell{"backlog": "16"}}, {"b", Cell{"backlog": "16", "TCP_NODELAY": "on"}}},
		Exclude: []Cell{{"target": "goroutine", "variant": "a"}}, Limits: []Limit{{"p99", "2ms"}}})
	if err != nil {
		t.Fatal(err)
	}
	cells := p.Cells()
	q, err := p.Versus([2]string{"new", "old"}, [2]Cell{cells[len(cells)-1], cells[0]})
	if err != nil {
		t.Fatal(err)
	}
	if got := len(q.Cells()); got != 2 || len(q.Limits) != 1 || q.Seed != p.Seed {
		t.Errorf("%d cells, limits %v, seed %d", got, q.Limits, q.Seed)
	}
	want := []string{"TCP_NODELAY=on,backlog=16,connections=64,target=goroutine", "backlog=16,connections=8,target=epoll"}
	for i, v := range q.Variants {
		if v.Name != []string{"new", "old"}[i] || v.Knobs.String() != want[i] {
			t.Errorf("variant %s has %s, want %s", v.Name, v.Knobs, want[i])
		}
	}
	if c := q.Cells()[0]; c.String() != "variant=new,write=split" {
		t.Errorf("cell %s", c)
	}
}
