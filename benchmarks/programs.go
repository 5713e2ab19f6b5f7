package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// What the comparisons with the tools of redis and with wrk ask for.
const (
	programConns = 50
	programRun   = 2 * time.Second
	redisKeys    = 1000
	redisAsked   = 200_000 // requests of a trial of redis-benchmark, which counts no time: about two seconds
	redisValue   = 64
)

// missing is the first of the programs that is not installed; "": none.
func missing(programs ...string) string {
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			return p
		}
	}
	return ""
}

// untaken are figures that were not measured for want of a program.
func untaken(n int, program string) (figures []figure) {
	for range n {
		figures = append(figures, figure{spoilt: program + " is not installed"})
	}
	return figures
}

// redisCost compares a closed loop of GET with that of redis-benchmark, both against a fresh redis-server that holds the
// keys: the CPU time of a request, and the median time until its reply.
func redisCost(ctx context.Context, b *bench) ([]figure, error) {
	if p := missing("redis-server", "redis-benchmark"); p != "" {
		return untaken(2, p), nil
	}
	serve := func(port string) []string {
		return []string{"redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--tcp-backlog", "1024"}
	}
	asking := func(port, test string, n int) []string {
		return []string{"redis-benchmark", "-h", "127.0.0.1", "-p", port, "-t", test, "-c", strconv.Itoa(programConns), "-n", strconv.Itoa(n),
			"-r", strconv.Itoa(redisKeys), "-d", strconv.Itoa(redisValue), "--csv"}
	}
	ours := func(port string) []string {
		return b.load(port, programConns, programRun, "--framing", "resp", "--keys", strconv.Itoa(redisKeys))
	}
	theirs := func(port string) []string { return asking(port, "get", redisAsked) }
	var medians [2][]float64 // p50 of a trial in nanoseconds
	filled := func(trial func(ctx context.Context, port string) (cost, p50 float64, err error), side int) func(context.Context) (float64, error) {
		return func(ctx context.Context) (cost float64, err error) {
			err = b.running(ctx, serve, func(port string) error {
				if _, err := b.client(asking(port, "set", 20*redisKeys)).output(ctx); err != nil {
					return err
				}
				c, p50, err := trial(ctx, port)
				cost, medians[side] = c, append(medians[side], p50)
				return err
			})
			return cost, err
		}
	}
	f, err := b.compare(ctx, "redis-benchmark", b.pairs, [2]arm{
		{"ours", shown(ours("PORT")), filled(func(ctx context.Context, port string) (float64, float64, error) {
			out, err := b.client(ours(port)).output(ctx)
			if err != nil {
				return 0, 0, err
			}
			return ourCost(out)
		}, 0)},
		{"redis-benchmark", shown(theirs("PORT")), filled(func(ctx context.Context, port string) (float64, float64, error) {
			out, used, err := b.client(theirs(port)).run(ctx, func(int) error { return nil })
			if err != nil {
				return 0, 0, err
			}
			p50, err := redisMedian(out)
			return float64(used) / redisAsked, p50, err
		}, 1)}})
	if err != nil {
		return nil, err
	}
	f.how = append(f.how, "against", shown(serve("PORT")))
	var logs []float64
	for i := range medians[0] {
		logs = append(logs, math.Log(medians[0][i]/medians[1][i]))
	}
	p50 := f
	p50.got = pairedRatio(logs)
	p50.note = fmt.Sprintf("medians %s and %s", nanoseconds(median(medians[0]).value), nanoseconds(median(medians[1]).value))
	return []figure{f, p50}, nil
}

// ourCost reads what sockbench load printed: the CPU time of a request, and the median from its write to its reply, both in
// nanoseconds. No request may have failed.
func ourCost(out []byte) (cost, p50 float64, err error) {
	var u struct {
		usage
		Service struct {
			P50 float64 `json:"p50_ns"`
		} `json:"service"`
	}
	if err := errors.Join(allAnswered(out), json.Unmarshal(out, &u)); err != nil {
		return 0, 0, err
	}
	return u.perRequest(), u.Service.P50, nil
}

// redisMedian reads p50, in nanoseconds, from the CSV of redis-benchmark, whose last line is that of its one test.
func redisMedian(out []byte) (float64, error) {
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	head, last := strings.Split(lines[0], ","), strings.Split(lines[len(lines)-1], ",")
	for i, name := range head {
		if name == `"p50_latency_ms"` && len(last) == len(head) && len(lines) > 1 {
			ms, err := strconv.ParseFloat(strings.Trim(last[i], `"`), 64)
			return ms * 1e6, err
		}
	}
	return 0, fmt.Errorf("redis-benchmark says no median: %q", out)
}

// wrkCost compares a closed loop of GET with that of wrk, both against a fresh nginx that answers by itself.
func wrkCost(ctx context.Context, b *bench) ([]figure, error) {
	if p := missing("wrk", "nginx"); p != "" {
		return untaken(1, p), nil
	}
	folder, err := os.MkdirTemp(b.dir, "nginx-")
	if err != nil {
		return nil, err
	}
	config := filepath.Join(folder, "nginx.conf")
	serve := func(string) []string { return []string{"nginx", "-e", "stderr", "-p", folder + "/", "-c", config} }
	ours := func(port string) []string { return b.load(port, programConns, programRun, "--framing", "http") }
	theirs := func(port string) []string {
		return []string{"wrk", "-t", "1", "-c", strconv.Itoa(programConns), "-d", programRun.String(), "http://127.0.0.1:" + port + "/"}
	}
	answering := func(trial func(ctx context.Context, port string) (float64, error)) func(context.Context) (float64, error) {
		return func(ctx context.Context) (cost float64, err error) {
			err = b.running(ctx, func(port string) []string {
				err = os.WriteFile(config, []byte(nginxConfig(port)), 0o644)
				return serve(port)
			}, func(port string) error {
				if err == nil {
					cost, err = trial(ctx, port)
				}
				return err
			})
			return cost, err
		}
	}
	f, err := b.compare(ctx, "wrk", b.pairs, [2]arm{
		{"ours", shown(ours("PORT")), answering(func(ctx context.Context, port string) (float64, error) {
			out, err := b.client(ours(port)).output(ctx)
			if err != nil {
				return 0, err
			}
			cost, _, err := ourCost(out)
			return cost, err
		})},
		{"wrk", shown(theirs("PORT")), answering(func(ctx context.Context, port string) (float64, error) {
			out, used, err := b.client(theirs(port)).run(ctx, func(int) error { return nil })
			if err != nil {
				return 0, err
			}
			n, err := wrkRequests(out)
			return float64(used) / n, err
		})}})
	f.how = append(f.how, "against nginx, one process that answers `return 200 \"ok\\n\"`")
	return []figure{f}, err
}

func nginxConfig(port string) string {
	return `daemon off; master_process off; worker_processes 1; pid nginx.pid; error_log stderr crit;
events { worker_connections 4096; }
http {
	access_log off; keepalive_requests 1000000000; keepalive_timeout 600s;
	client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
	server { listen 127.0.0.1:` + port + ` backlog=4096; location / { return 200 "ok\n"; } }
}
`
}

var wrkTotal = regexp.MustCompile(`(?m)^ +(\d+) requests in `)

// wrkRequests reads how many requests wrk made, all of which must have been answered well.
func wrkRequests(out []byte) (float64, error) {
	m := wrkTotal.FindSubmatch(out)
	if m == nil || strings.Contains(string(out), "Socket errors") || strings.Contains(string(out), "Non-2xx") {
		return 0, fmt.Errorf("wrk had errors, or made no requests:\n%s", out)
	}
	return strconv.ParseFloat(string(m[1]), 64)
}
