package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func quietBench() *bench {
	return &bench{pairs: 1, rng: rand.New(rand.NewPCG(1, 0)), say: func(string, ...any) {}}
}

// Both arms of each pair are run, in both orders, and fewer than 20 pairs are no measurement.
func TestCompare(t *testing.T) {
	for _, pairs := range []int{19, 20} {
		order := ""
		side := func(name string, cost float64) arm {
			return arm{name, name, func(context.Context) (float64, error) { order += name; return cost, nil }}
		}
		f, err := quietBench().compare(t.Context(), "x", pairs, [2]arm{side("a", 3), side("b", 4)})
		if err != nil {
			t.Fatal(err)
		}
		near(t, "ratio", f.got.value, .75)
		var first [2]int
		for i := 0; i < len(order); i += 2 {
			if order[i] == order[i+1] {
				t.Fatalf("%s is no sequence of pairs", order)
			}
			first[order[i]-'a']++
		}
		if first[0] < 3 || first[1] < 3 || first[0]+first[1] != pairs {
			t.Errorf("%d pairs ran as %s", pairs, order)
		}
		if (f.spoilt != "") != (pairs < 20) {
			t.Errorf("%d pairs: %q", pairs, f.spoilt)
		}
	}
}

func TestPeersThatAreMissing(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	f, err := sockperfCost(t.Context(), quietBench())
	if err != nil || len(f) != 1 || f[0].spoilt != "sockperf is not installed" {
		t.Errorf("%+v, %v", f, err)
	}
	for program, measure := range map[string]func(context.Context, *bench) ([]figure, error){"redis-server": redisCost, "wrk": wrkCost} {
		if f, err := measure(t.Context(), quietBench()); err != nil || len(f) == 0 || f[len(f)-1].spoilt != program+" is not installed" {
			t.Errorf("%+v, %v", f, err)
		}
	}
	b := quietBench()
	b.sockbench = filepath.Join(t.TempDir(), "sockbench")
	if err := os.WriteFile(b.sockbench, []byte("#!/bin/sh\necho io_uring_setup: forbidden >&2\nexit 4\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	f, err = iouringCost(t.Context(), b)
	if err != nil || len(f) != 2 || f[0].spoilt != "the kernel refuses io_uring" {
		t.Errorf("%+v, %v", f, err)
	}
}

// A loop of this process stands for the client, each request of which takes 50 µs; cat is the server.
func TestWindow(t *testing.T) {
	for _, c := range []struct {
		lasts time.Duration
		want  string
	}{{time.Minute, ""}, {warmup + duration/2, "ended before"}} {
		cat := exec.Command("cat")
		requests, err := cat.StdinPipe()
		if err == nil {
			err = cat.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), c.lasts)
		done := make(chan error)
		go func() {
			var err error
			for ctx.Err() == nil && err == nil {
				for at := time.Now(); time.Since(at) < 50*time.Microsecond; {
				}
				_, err = requests.Write(make([]byte, frame))
			}
			done <- err
		}()
		cost, err := window(t.Context(), 1, duration, os.Getpid(), cat.Process.Pid)
		cancel()
		if err := errors.Join(<-done, requests.Close(), cat.Wait()); err != nil {
			t.Fatal(err)
		}
		switch {
		case c.want != "":
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("a load of %v: %v", c.lasts, err)
			}
		case err != nil:
			t.Error(err)
		case cost < 40e3 || cost > 150e3:
			t.Errorf("a request that takes 50 µs costs %.0f ns", cost)
		}
	}
}

func TestReports(t *testing.T) {
	for _, c := range []struct {
		check func([]byte) error
		text  string
		want  string // "": fine
	}{
		{allAnswered, `{"offered": 10, "completed": 8, "unfinished": 2}`, ""},
		{allAnswered, `{"offered": 10, "completed": 8, "unfinished": 1}`, "1 of 10 requests failed"},
		{allAnswered, `{}`, "failed"},
		{allOK, `{"RetCodes": {"OK": 5}, "DurationHistogram": {"Count": 5}}`, ""},
		{allOK, `{"RetCodes": {"OK": 4, "short read": 1}, "DurationHistogram": {"Count": 5}}`, "5 requests"},
		{allOK, `{"RetCodes": {}, "DurationHistogram": {"Count": 0}}`, "0 requests"},
		{allOK, `none`, "invalid"},
		{sent, "sockperf: [Total Run] RunTime=2.000 sec; SentMessages=20005; ReceivedMessages=19952\n", ""},
		{sent, "sockperf: [Total Run] RunTime=2.000 sec; SentMessages=20005; ReceivedMessages=19004\n", "19004 were answered"},
		{sent, "sockperf: [Total Run] RunTime=2.000 sec; SentMessages=19000; ReceivedMessages=19000\n", "sent 19000 messages of 20000"},
		{sent, "sockperf: ERROR\n", "does not say"},
		{wrkMade, "  2 threads\n  200 requests in 2.00s, 20MB read\n", ""},
		{wrkMade, "  200 requests in 2.00s, 20MB read\n  Socket errors: connect 0, read 1\n", "had errors"},
		{wrkMade, "  200 requests in 2.00s, 20MB read\n  Non-2xx or 3xx responses: 5\n", "had errors"},
		{redisSays, "\"test\",\"rps\",\"p50_latency_ms\"\n\"GET\",\"100.0\",\"0.200\"\n", ""},
		{redisSays, "\"test\",\"rps\"\n\"GET\",\"100.0\"\n", "no median"},
		{redisSays, "", "no median"},
	} {
		err := c.check([]byte(c.text))
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.text, err, c.want)
		}
	}
}

func sent(out []byte) error {
	_, err := sentMessages(out)
	return err
}

func wrkMade(out []byte) error {
	n, err := wrkRequests(out)
	if err == nil && n != 200 {
		err = errors.New("not 200")
	}
	return err
}

func redisSays(out []byte) error {
	p50, err := redisMedian(out)
	if err == nil && p50 != 200e3 {
		err = errors.New("not 200 us")
	}
	return err
}
