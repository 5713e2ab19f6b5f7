package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// The load of P6, of which a part is watched.
const (
	serveConns  = 64
	serveLoad   = 1200 * time.Millisecond
	serveWindow = 700 * time.Millisecond
)

// serverCost is P6: what a request costs our servers, and what it costs others, with the C client before both.
func serverCost(ctx context.Context, b *bench) (figures []figure, err error) {
	for _, pair := range [][2]arm{
		{b.served("C", peer(b.echo)), b.target("epoll")},
		{b.served("C", peer(b.echo)), b.target("iouring")},
		{b.served("net", peer(b.netEcho)), b.target("goroutine")},
		{b.served("C", peer(b.echo)), b.target("goroutine")},
		{b.served("C threads", peer(b.threadEcho)), b.target("thread")},
		{b.served("netpoll", peer(b.netpollEcho)), b.target("epoll")},
	} {
		if pair[1].name == "iouring" && b.ringless(ctx) {
			figures = append(figures, noRing)
			continue
		}
		// How many times more a request costs them is how many times more requests ours serves in a second of CPU time.
		f, err := b.compare(ctx, pair[1].name+" and "+pair[0].name, b.pairs, pair)
		if err != nil {
			return nil, err
		}
		f.how = append(f.how, "under", shown(b.serveLoad("PORT")))
		figures = append(figures, f)
	}
	return figures, nil
}

// serveLoad is the client of P6.
func (b *bench) serveLoad(port string) []string {
	return []string{b.cClient, port, strconv.Itoa(serveConns), "0", strconv.FormatInt(serveLoad.Milliseconds(), 10)}
}

// target is an arm of one of our models.
func (b *bench) target(model string) arm {
	return b.served(model, []string{b.sockbench, "serve", "--target", model, "--cpus", fmt.Sprintf("server=%d", serverCPU),
		"--framing", "fixed", "--request", strconv.Itoa(frame), "--reply", strconv.Itoa(frame),
		"--connections", strconv.Itoa(serveConns), "--duration", serverLimit.String()})
}

// served is an arm whose server is looked at from outside. Requests are counted where the client writes them: what is sent
// through an io_uring is in no count of what a process wrote.
func (b *bench) served(name string, serve []string) arm {
	return arm{name, shown(serve), func(ctx context.Context) (float64, error) {
		return b.watch(ctx, serve, b.serveLoad, func(ctx context.Context, client, server int) (float64, error) {
			return window(ctx, serveConns, serveWindow, server, client)
		}, anyCompleted)
	}}
}

// anyCompleted checks what the C client printed, which nothing that failed lets come to its end.
func anyCompleted(out []byte) error {
	var u usage
	err := json.Unmarshal(out, &u)
	if err == nil && u.Completed == 0 {
		err = errors.New("no request was completed")
	}
	return err
}
