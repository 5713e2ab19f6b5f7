package main

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// serve and load are useful alone, and agree.
func TestServeAndLoad(t *testing.T) {
	handledFile := filepath.Join(t.TempDir(), "handled.csv")
	serve := program(t, "serve", "--target", "goroutine", "-o", "json", "--set", "TCP_NODELAY=on", "--samples", handledFile)
	out, err := serve.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := serve.Start(); err != nil {
		t.Fatal(err)
	}
	defer serve.Process.Kill()
	said := json.NewDecoder(out)
	var at struct{ Address string }
	if err := said.Decode(&at); err != nil {
		t.Fatal(err)
	}
	samples := filepath.Join(t.TempDir(), "samples.csv")
	code, stdout, stderr := here(t, "load", at.Address, "--rate", "2k", "--arrivals", "constant", "--connections", "4", "--duration", "300ms", "--samples", samples, "-o", "json")
	if code != exitFine {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	var m struct {
		Offered, Completed int64
		Response           struct {
			Count int64
			P50   *int64 `json:"p50_ns"`
		}
		Client   struct{ Applied []any }
		Validity []struct{ Code, Verdict string }
	}
	if err := json.Unmarshal([]byte(stdout), &m); err != nil || m.Offered != 600 || m.Completed != 600 || m.Response.Count != 600 || m.Response.P50 == nil || len(m.Validity) == 0 {
		t.Errorf("%v: %s", err, stdout)
	}
	asked := checkSamples(t, samples, 600)

	if err := serve.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	var handled struct{ Accepts, Requests int64 }
	if err := said.Decode(&handled); err != nil || handled.Accepts != 4 || handled.Requests < 600 {
		t.Errorf("the server says %+v, %v", handled, err)
	}
	if err := serve.Wait(); err != nil {
		t.Errorf("serve: %v", err)
	}
	served := map[int64]map[string]int64{}
	for _, r := range readSamples(t, handledFile) {
		served[r["id"]] = r
	}
	if int64(len(served)) != handled.Requests {
		t.Errorf("%d ids for %d requests", len(served), handled.Requests)
	}
	for _, c := range asked {
		s := served[c["id"]]
		if !slices.IsSorted([]int64{c["sent_ns"], s["received_ns"], s["began_ns"], s["ended_ns"], c["done_ns"]}) {
			t.Fatalf("out of order: the client says %v, the server %v", c, s)
		}
	}
}

// What serve prints is where it listens, and once it is interrupted nothing of it is left.
func TestServeAddresses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	for listen, says := range map[string]string{"udp://127.0.0.1:0": "udp://127.0.0.1:", "127.0.0.1:0": "tcp://127.0.0.1:", "[::1]:0": "tcp://[::1]:", "tcp://[::1]:0": "tcp://[::1]:", "unix://" + path: "unix://" + path} {
		if b, err := os.ReadFile("/proc/net/if_inet6"); strings.Contains(listen, "::1") && (err != nil || !strings.Contains(string(b), " lo\n")) {
			t.Log("loopback has no IPv6 address here")
			continue
		}
		target := "goroutine"
		if strings.HasPrefix(listen, "udp") {
			listen, target = strings.TrimPrefix(listen, "udp://"), "udp"
		}
		serve := program(t, "serve", "--target", target, "--listen", listen)
		out, err := serve.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := serve.Start(); err != nil {
			t.Fatal(err)
		}
		line, err := bufio.NewReader(out).ReadString('\n')
		network, at, _ := strings.Cut(strings.TrimSpace(line), "://")
		if c, e := net.Dial(network, at); err != nil || e != nil || !strings.HasPrefix(line, says) {
			t.Errorf("--listen %s: it says %q, %v; connect: %v", listen, line, err, e)
		} else {
			c.Close()
		}
		if err := errors.Join(serve.Process.Signal(syscall.SIGTERM), serve.Wait()); err != nil {
			t.Errorf("--listen %s: %v", listen, err)
		}
	}
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("the unix socket is left behind: %v", err)
	}
}

func TestServeSamplesRefused(t *testing.T) {
	for _, c := range []struct {
		args string
		code int
		says string
	}{
		{"serve --samples /no/such/folder/x.csv", exitEnvironment, "/no/such/folder"},
		{"serve --target exec:x{port} --samples x.csv", exitUsage, "leave --samples out"},
	} {
		if code, stdout, stderr := here(t, strings.Fields(c.args)...); code != c.code || stdout != "" || !strings.Contains(stderr, c.says) {
			t.Errorf("%s: exit %d, %q, %q; want %d and %q", c.args, code, stdout, stderr, c.code, c.says)
		}
	}
}

// readSamples is a sample file, a map from column to number for each line.
func readSamples(t *testing.T, path string) (lines []map[string]int64) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil || len(rows) == 0 {
		t.Fatalf("%s: %v, %d lines", path, err, len(rows))
	}
	for _, row := range rows[1:] {
		line := map[string]int64{}
		for i, name := range rows[0] {
			if v, err := strconv.ParseInt(row[i], 10, 64); err == nil {
				line[name] = v
			} else if name != "outcome" {
				t.Fatal(err)
			}
		}
		lines = append(lines, line)
	}
	return lines
}

// On every line, response = queue wait + lateness + service.
func checkSamples(t *testing.T, path string, want int) []map[string]int64 {
	t.Helper()
	lines := readSamples(t, path)
	if len(lines) != want {
		t.Fatalf("%d lines, want %d", len(lines), want)
	}
	for _, l := range lines {
		sum := l["queue_wait_ns"] + l["lateness_ns"] + l["service_ns"]
		if sum != l["response_ns"] || l["done_ns"]-l["intended_ns"] != sum {
			t.Fatalf("the parts are not the whole: %v", l)
		}
	}
	return lines
}
