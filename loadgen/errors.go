package loadgen

import (
	"errors"

	"golang.org/x/sys/unix"
)

// errorKind is what went wrong with a connection or a reply. A fixed set, so that counting one costs nothing.
type errorKind uint8

const (
	errEOF errorKind = iota
	errReset
	errProtocol
	errSize
	errReply
	errUnasked
	errNoConnection
	errRefused
	errConnectTimeout
	errQueueFull
	errNoPort
	errDescriptors
	errUnreachable
	errReadTimeout
	errCloseTimeout
	errHeldClosed
	errGivenUp
	errOther
	errorKinds
)

var errorNames = [errorKinds]string{
	errEOF: "closed by the server", errReset: "reset", errProtocol: "protocol", errSize: "wrong reply size", errReply: "error reply",
	errUnasked: "reply to nothing asked", errNoConnection: "no connection left", errRefused: "connect: refused",
	errConnectTimeout: "connect: timed out", errQueueFull: "connect: the server's queue is full", errNoPort: "connect: no local port left", errDescriptors: "connect: no descriptor left",
	errUnreachable: "connect: unreachable", errReadTimeout: "read: timed out",
	errCloseTimeout: "close: timed out", errHeldClosed: "held connection closed",
	errGivenUp: "given up by the kernel", // ETIMEDOUT: what was sent was not acknowledged, or keep-alive probes were not answered
	errOther:   "other",
}

// requestTimeout is what a Trouble is called that is no error of a connection.
const requestTimeout = "request: timed out"

// errReceiveTimeout is what a blocking read says when SO_RCVTIMEO has passed.
var errReceiveTimeout = errors.New("SO_RCVTIMEO has passed")

// errQueue says that a unix socket's queue is full: a connect that is not to wait fails, and is worth another try.
var errQueue = errors.New("the server's queue of connections is full")

func kindOf(err error) errorKind {
	switch {
	case errors.Is(err, errReceiveTimeout):
		return errReadTimeout
	case errors.Is(err, unix.ECONNRESET), errors.Is(err, unix.EPIPE):
		return errReset
	case errors.Is(err, unix.ECONNREFUSED), errors.Is(err, unix.ENOENT): // a unix socket that is not there
		return errRefused
	case errors.Is(err, unix.ETIMEDOUT):
		return errConnectTimeout
	case errors.Is(err, errQueue):
		return errQueueFull
	case errors.Is(err, unix.EADDRNOTAVAIL):
		return errNoPort
	case errors.Is(err, unix.EMFILE), errors.Is(err, unix.ENFILE):
		return errDescriptors
	case errors.Is(err, unix.ENETUNREACH), errors.Is(err, unix.EHOSTUNREACH):
		return errUnreachable
	}
	return errOther
}
