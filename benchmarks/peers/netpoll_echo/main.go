// Command netpoll_echo sends back what it reads, with github.com/cloudwego/netpoll as it is without any configuration: one
// poller for up to 20 CPUs, and a goroutine out of a pool for each connection that has something to read.
//
//	netpoll_echo SECONDS
//
// It listens on a free port of 127.0.0.1 and prints it. It ends when standard input does, and after SECONDS in any case.
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"time"

	"github.com/cloudwego/netpoll"
)

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: netpoll_echo SECONDS")
	}
	limit, err := time.ParseDuration(os.Args[1] + "s")
	if err != nil {
		log.Fatal(err)
	}
	time.AfterFunc(limit, func() { log.Fatal("the time is over") })
	l, err := netpoll.CreateListener("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(l.Addr().(*net.TCPAddr).Port)
	go func() {
		io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	loop, err := netpoll.NewEventLoop(echo)
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(loop.Serve(l))
}

// echo is called when there is something to read. It copies it once, into the output.
func echo(_ context.Context, c netpoll.Connection) error {
	in, out := c.Reader(), c.Writer()
	b, err := in.Next(in.Len())
	if err != nil {
		return err
	}
	room, err := out.Malloc(len(b))
	if err != nil {
		return err
	}
	copy(room, b)
	if err := in.Release(); err != nil {
		return err
	}
	return out.Flush()
}
