package sockopt

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/sockbench/sockbench/internal/mutation"
)

// set passes one value to the kernel.
func (o *Option) set(fd int, v value) error {
	var err error
	switch o.Kind {
	case Name:
		err = unix.SetsockoptString(fd, o.Level, o.Num, v.name)
	case Timeval:
		tv := unix.NsecToTimeval(v.num * 1000)
		err = unix.SetsockoptTimeval(fd, o.Level, o.Num, &tv)
	case BytesPerSecond:
		err = unix.SetsockoptUint64(fd, o.Level, o.Num, uint64(v.num))
	case LingerTime:
		l := unix.Linger{Linger: int32(max(v.num, 0))}
		if v.num >= 0 {
			l.Onoff = 1
		}
		err = unix.SetsockoptLinger(fd, o.Level, o.Num, &l)
	default:
		if o.Name == backlog {
			err = unix.Listen(fd, int(v.num))
		} else {
			err = unix.SetsockoptInt(fd, o.Level, o.Num, int(v.num))
		}
	}
	return err
}

// Get reads the option on fd, in the option's own text.
func (o *Option) Get(fd int) (string, error) {
	v, err := o.get(fd)
	if err != nil {
		return "", fmt.Errorf("getsockopt %s: %w", o.Name, err)
	}
	return o.text(v), nil
}

func (o *Option) get(fd int) (v value, err error) {
	var n int
	switch {
	case o.Name == backlog: // a listening socket tells its limit in TCP_INFO
		var info *unix.TCPInfo
		if info, err = unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
			n = int(info.Sacked)
		}
	case o.Kind == BytesPerSecond:
		rate, err := unix.GetsockoptUint64(fd, o.Level, o.Num)
		return value{num: int64(rate)}, err
	case o.Kind == Name:
		v.name, err = unix.GetsockoptString(fd, o.Level, o.Num)
		return v, err
	case o.Kind == Timeval:
		var tv *unix.Timeval
		if tv, err = unix.GetsockoptTimeval(fd, o.Level, o.Num); err == nil {
			v.num = tv.Nano() / 1000
		}
		return v, err
	case o.Kind == LingerTime:
		var l *unix.Linger
		if l, err = unix.GetsockoptLinger(fd, o.Level, o.Num); err == nil {
			if v.num = int64(l.Linger); l.Onoff == 0 {
				v.num = -1
			}
		}
		return v, err
	default:
		n, err = unix.GetsockoptInt(fd, o.Level, cmp.Or(o.ReadNum, o.Num))
	}
	v.num = int64(n)
	if o.Kind == Bool && n != 0 {
		v.num = 1
	}
	return v, err
}

// apply sets s on fd. The error names the option, the level and the kernel's answer.
func (s Setting) apply(fd int) error {
	o, ok := Find(s.Option)
	if !ok {
		return fmt.Errorf("no socket option %s", s.Option)
	}
	if mutation.On("ignored-option") {
		return nil
	}
	v, err := o.value(string(s.Level))
	if err == nil {
		err = o.set(fd, v)
	}
	if err != nil {
		return fmt.Errorf("set %s=%s: %w", s.Option, s.Level, err)
	}
	return nil
}

// readBack is one setting's fate on one connected or accepted socket. failed is the error of setting it, if any.
func readBack(fd int, s Setting, failed error, nonblocking bool) Applied {
	a := Applied{Option: s.Option, Asked: s.Level}
	o, ok := Find(s.Option)
	if !ok {
		a.Class, a.Error = Unsupported, "no such option in this build"
		return a
	}
	var got value
	if o.Reads != ReadsNot {
		var err error
		if got, err = o.get(fd); err == nil {
			a.Got = o.text(got)
		} else if failed == nil {
			failed = err
		}
	}
	if failed != nil {
		a.Error, a.Class = failed.Error(), classOf(failed)
		if why := lacks(fd, o.Condition); why != "" && a.Class == Unsupported {
			a.Error, a.Class, a.Note = "", Inert, why
		}
		return a
	}
	asked, err := o.value(string(s.Level))
	if err != nil {
		a.Error, a.Class = err.Error(), Unknown
		return a
	}
	if mutation.On("ignored-option") {
		a.Got, a.Class = o.text(asked), Equal
		return a
	}
	if a.Class, a.Note = classify(o, asked, got); o.Reads == ReadsNot {
		a.Class, a.Note = Unknown, "set without an error; the kernel does not tell what it made of it"
	}
	if a.Class == Ignored && !o.Inherited && !o.Listener && s.Phase&(Fresh|Listen) != 0 {
		a.Class, a.Note = NotInherited, "set on the listening socket, which accepted sockets do not take it from"
		if o.Phases&Established != 0 {
			a.Note += fmt.Sprintf(": write %s@%s", s.Level, Established)
		}
	}
	if asked.num == 0 && o.Kind != Number { // switched off, which needs nothing
		return a
	}
	why := cmp.Or(o.Inert, lacks(fd, o.Condition))
	if o.Blocking && nonblocking {
		why = "the socket is non-blocking, which this timeout does not act on"
	}
	if why != "" {
		a.Class, a.Note = Inert, why
	}
	return a
}

// classOf maps the kernel's answer.
func classOf(err error) Class {
	switch {
	case err == nil:
		return Equal
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		return Denied
	case errors.Is(err, unix.ENOPROTOOPT), errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.ENOENT), errors.Is(err, unix.EINVAL), errors.Is(err, unix.EDOM):
		return Unsupported
	}
	return Unknown
}

// Probe asks this kernel: it sets o to what a fresh socket has anyway, and reads it back.
// level is the default, "" if it cannot be read; class is Equal (supported) or, with the error that says why, Inert,
// Unsupported, Denied or Unknown (could not tell).
func Probe(o *Option) (level string, class Class, err error) {
	kind := unix.SOCK_STREAM
	if o.On()&TCP == 0 {
		kind = unix.SOCK_DGRAM
	}
	fd, err := unix.Socket(unix.AF_INET, kind|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return "", Unknown, err
	}
	defer unix.Close(fd)
	if o.Name == backlog {
		return strconv.Itoa(somaxconn()), Equal, nil
	}
	var v value
	if o.Reads != ReadsNot {
		if v, err = o.get(fd); err != nil {
			return "", classOf(err), err
		}
		level = o.text(v)
	}
	if o.Reads == ReadsDoubled {
		v.num /= 2
	}
	if v.num < o.Min && v.num != -1 { // "not set yet" may read as a value the kernel does not take
		v.num = o.Min
	}
	err = o.set(fd, v)
	class = classOf(err)
	if why := cmp.Or(o.Inert, lacks(fd, o.Condition)); why != "" && (err == nil || class == Unsupported) {
		return level, Inert, errors.New(why)
	}
	return level, class, err
}

// somaxconn is what package net listens with, and so what "no backlog named" means.
func somaxconn() int {
	b, err := os.ReadFile("/proc/sys/net/core/somaxconn")
	if err != nil {
		return unix.SOMAXCONN
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil || n < 1 {
		return unix.SOMAXCONN
	}
	return n
}

func nonblocking(fd int) bool {
	fl, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	return err == nil && fl&unix.O_NONBLOCK != 0
}
