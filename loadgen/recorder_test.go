package loadgen

import (
	"testing"
	"time"
)

// recorded is 1 s with a request every 20 us; those of slow intervals take a millisecond more.
func recorded(t testing.TB, slow func(interval int64) bool) Result {
	t.Helper()
	r := newRecorder(Window{Measure: 1000, End: 1000 + int64(time.Second), Drained: 1000 + int64(time.Second)}, 0)
	at := int64(0)
	complete := func() {
		end := r.w.Measure + at
		took := 100_000 + at%7_919
		if slow(at / intervalLen) {
			took += 1_000_000
		}
		r.complete(&request{intended: end - took, taken: end - took, wrote: end - took}, end)
		at += 20_000
	}
	const half = 25_000
	if n := testing.AllocsPerRun(half-1, complete); n != 0 {
		t.Errorf("recording a request allocates %v times", n)
	}
	for range half {
		complete()
	}
	r.settle()
	res, err := r.result()
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// What a trial's requests are worth shows from one interval to the next.
func TestRecorderKnowsHowDependentRequestsAre(t *testing.T) {
	even := recorded(t, func(int64) bool { return false })
	if e := even.Response.Effective; e.P50 < even.Response.Count*9/10 || e.P99 < even.Response.Count*9/10 {
		t.Errorf("even requests: %+v of %d", e, even.Response.Count)
	}
	bursts := recorded(t, func(i int64) bool { return i == 3 || i == 4 })
	if e := bursts.Response.Effective; e.P90 > 100 || e.P90 == 0 {
		t.Errorf("all slow ones in two of ten intervals: %+v of %d", e, bursts.Response.Count)
	}
}
