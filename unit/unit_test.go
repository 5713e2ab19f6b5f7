package unit

import (
	"encoding"
	"reflect"
	"strings"
	"testing"
	"time"
)

type text interface {
	encoding.TextMarshaler
	encoding.TextUnmarshaler
}

func TestCanonical(t *testing.T) {
	for _, c := range []struct {
		into     text
		in, want string
	}{
		{new(Bytes), "0", "0"}, {new(Bytes), "64B", "64"}, {new(Bytes), "1024", "1KiB"}, {new(Bytes), "1.5KiB", "1536"},
		{new(Bytes), "16 KiB", "16KiB"}, {new(Bytes), "1000kB", "1000000"}, {new(Bytes), "2048KiB", "2MiB"}, {new(Bytes), "1GiB", "1GiB"},
		{new(Duration), "0", "0"}, {new(Duration), "0s", "0"}, {new(Duration), "1000us", "1ms"}, {new(Duration), "50µs", "50us"},
		{new(Duration), "60s", "1m"}, {new(Duration), "1h", "1h"}, {new(Duration), "1h0m30s", "1h0m30s"}, {new(Duration), "1500ms", "1.5s"},
		{new(Rate), "20k", "20k"}, {new(Rate), "20000/s", "20k"}, {new(Rate), "1500", "1.5k"}, {new(Rate), "999", "999"},
		{new(Rate), "12345.5", "12345.5"}, {new(Rate), "2M", "2M"}, {new(Rate), "0", "0"},
		{new(Bits), "100mbit", "100mbit"}, {new(Bits), "1000Mbit", "1gbit"}, {new(Bits), "0", "0"},
		{new(Share), "0.1%", "0.1%"}, {new(Share), "0.001", "0.1%"}, {new(Share), "1", "100%"}, {new(Share), "0", "0%"},
		{new(Count), "64", "64"}, {new(Count), "10k", "10000"},
		{new(Word), " epoll ", "epoll"},
		{new(Dist), "0", "0"}, {new(Dist), "exp:0", "0"}, {new(Dist), "50us", "50us"}, {new(Dist), "exp:50us", "exp:50us"},
		{new(Dist), "sleep:5ms", "sleep:5ms"}, {new(Dist), "sleep:exp:5000us", "sleep:exp:5ms"},
	} {
		if err := c.into.UnmarshalText([]byte(c.in)); err != nil {
			t.Errorf("%T %q: %v", c.into, c.in, err)
			continue
		}
		got, _ := c.into.MarshalText()
		if string(got) != c.want {
			t.Errorf("%T %q = %q, want %q", c.into, c.in, got, c.want)
		}
		again := reflect.New(reflect.TypeOf(c.into).Elem()).Interface().(text)
		if err := again.UnmarshalText(got); err != nil || !reflect.DeepEqual(again, c.into) {
			t.Errorf("%T %q reads back as %v (%v), want %v", c.into, got, again, err, c.into)
		}
	}
}

func TestRefused(t *testing.T) {
	for _, c := range []struct {
		into text
		in   string
		says string
	}{
		{new(Bytes), "", "16KiB"}, {new(Bytes), "-1", "negative"}, {new(Bytes), "1.5", "whole"}, {new(Bytes), "64Kib", "16KiB"},
		{new(Bytes), "inf", "16KiB"}, {new(Bytes), "NaN", "16KiB"}, {new(Bytes), "0x10", "16KiB"}, {new(Bytes), "1e300", "too large"},
		{new(Duration), "5", "5ms"}, {new(Duration), "-5ms", "negative"}, {new(Duration), "soon", "200ms"},
		{new(Rate), "-1", "negative"}, {new(Rate), "fast", "20k"}, {new(Rate), "2000M", "too large"},
		{new(Bits), "100", "100mbit"}, {new(Share), "120%", "whole"}, {new(Share), "2", "whole"},
		{new(Count), "1.5", "whole"}, {new(Count), "99999M", "too large"}, {new(Dist), "exp:5", "exp:50us"},
	} {
		err := c.into.UnmarshalText([]byte(c.in))
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%T %q: error %v, want one that says %q", c.into, c.in, err, c.says)
		}
	}
}

func FuzzDuration(f *testing.F) {
	for _, s := range []string{"1ms", "1h0m30s", "0.5us", "2562047h47m16.854775807s"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var d, again Duration
		if d.UnmarshalText([]byte(s)) != nil {
			return
		}
		if d < 0 {
			t.Fatalf("%q read as %v", s, time.Duration(d))
		}
		if err := again.UnmarshalText([]byte(d.String())); err != nil || again != d {
			t.Fatalf("%q writes %q, which reads as %v, %v", s, d, again, err)
		}
	})
}
