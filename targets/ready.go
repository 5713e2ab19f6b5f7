package targets

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// Ready is how a command of the user's tells that it is ready. Text: "port", it accepts a connection; "log: TEXT", a line
// of its output holds the text; "http: /PATH", a GET of that path is answered with a status of 200 to 299. The zero Ready
// is "port".
type Ready struct{ how, what string }

const (
	readyPort = "port"
	readyLog  = "log"
	readyHTTP = "http"
)

func (r *Ready) UnmarshalText(text []byte) error {
	how, what, _ := strings.Cut(strings.TrimSpace(string(text)), ":")
	v := Ready{strings.TrimSpace(how), strings.TrimSpace(what)}
	switch {
	case v.how == readyPort && v.what == "":
		v = Ready{}
	case v.how == readyLog && v.what != "" && len(v.what) <= lineMost && !strings.ContainsRune(v.what, '\n'):
	case v.how == readyHTTP && strings.HasPrefix(v.what, "/") && !strings.ContainsAny(v.what, " \t\r\n"):
	default:
		return fmt.Errorf("%q does not say how a command tells that it is ready: write port, or log: TEXT for a line of its output, or http: /PATH", text)
	}
	*r = v
	return nil
}

func (r Ready) MarshalText() ([]byte, error) {
	if r == (Ready{}) {
		return []byte(readyPort), nil
	}
	return []byte(r.how + ": " + r.what), nil
}

// wanted is what it has to do, for an error.
func (r Ready) wanted(address string) string {
	switch r.how {
	case readyLog:
		return fmt.Sprintf("write a line with %q", r.what)
	case readyHTTP:
		return fmt.Sprintf("answer GET http://%s%s with a status of 200 to 299", address, r.what)
	}
	return "accept connections on " + address
}

// asked says whether the command at address is ready, where that is found by asking.
func (r Ready) asked(ctx context.Context, address string) bool {
	if r.how != readyHTTP {
		var d net.Dialer
		conn, err := d.DialContext(ctx, "tcp", address)
		if err != nil {
			return false
		}
		hangUp(conn.(*net.TCPConn))
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	ask, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+r.what, nil)
	if err != nil {
		return false
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}
	reply, err := client.Do(ask)
	if err != nil {
		return false
	}
	io.Copy(io.Discard, io.LimitReader(reply.Body, 1<<20)) // its end says nothing more
	return errors.Join(reply.Body.Close()) == nil && reply.StatusCode/100 == 2
}

// herald is a writer that waits for a line with a text in it. Not concurrent, but for said.
type herald struct {
	text string
	line []byte        // the last one so far, up to lineMost bytes of its end
	said chan struct{} // closed when it was
	done bool
}

const lineMost = 4096

func newHerald(r Ready) *herald {
	return &herald{text: r.what, said: make(chan struct{}), done: r.how != readyLog}
}

// Write never fails.
func (h *herald) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 && !h.done {
		part, rest, whole := bytes.Cut(p, []byte{'\n'})
		h.line = append(h.line, part...)
		if bytes.Contains(h.line, []byte(h.text)) {
			h.done, h.line = true, nil
			close(h.said)
			break
		}
		if p = rest; whole {
			h.line = h.line[:0]
		} else if over := len(h.line) - lineMost; over > 0 {
			h.line = h.line[:copy(h.line, h.line[over:])]
		}
	}
	return n, nil
}
