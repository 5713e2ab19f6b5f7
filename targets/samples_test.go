package targets

import (
	"strings"
	"sync"
	"testing"
)

// Many threads note requests at once: each has a line, up to the bound, and the rest is counted.
func TestSampler(t *testing.T) {
	s := newSampler(new(board), make([]Sample, 900))
	var wg sync.WaitGroup
	for k := range 10 {
		wg.Go(func() {
			for i := range 100 {
				at := s.now()
				s.note(Sample{uint64(k*100 + i), at, s.now(), s.now()})
			}
		})
	}
	wg.Wait()
	kept, dropped := s.all()
	seen := map[uint64]bool{}
	for _, r := range kept {
		seen[r.ID] = r.Received > 0 && r.Began >= r.Received && r.Ended >= r.Began
	}
	for id, ok := range seen {
		if !ok {
			t.Errorf("request %d is out of order", id)
		}
	}
	if len(seen) != 900 || dropped != 100 {
		t.Errorf("%d requests kept and %d dropped, want 900 and 100", len(seen), dropped)
	}
	var none *sampler
	none.note(Sample{ID: 1})
	if kept, dropped := none.all(); kept != nil || dropped != 0 || none.now() != 0 {
		t.Errorf("nobody asked for samples, and there are %d, %d dropped", len(kept), dropped)
	}
}

func TestWriteSamples(t *testing.T) {
	var b strings.Builder
	err := WriteSamples(&b, []Sample{{3, 20, 30, 40}, {2, 10, 15, 20}, {1, 10, 11, 15}})
	if want := "id,received_ns,began_ns,ended_ns\n1,10,11,15\n2,10,15,20\n3,20,30,40\n"; err != nil || b.String() != want {
		t.Errorf("%v, %q, want %q", err, b.String(), want)
	}
}
