package results

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"

	hdr "github.com/HdrHistogram/hdrhistogram-go"
	"github.com/klauspost/compress/zlib"

	"github.com/sockbench/sockbench/results/stats"
)

// counts adds up histograms as records keep them: base64 of HdrHistogram's V2 encoding, compressed. Of the 27,648 counts a
// trial has some hundred, and a run thousands of histograms: here none of them is made whole.
type counts struct {
	of []int64 // of each bucket, in the order of values; nil: nothing was added
}

// Both headers of the V2 encoding, in bytes and big endian: cookie and length of what is compressed; in it a cookie, the
// payload's length, an offset that writers leave at 0, digits, the range, and a ratio.
const (
	outerHeader, innerHeader = 8, 40
	outerCookie, innerCookie = 0x1c849314, 0x1c849313
)

// decoders are those that are not in use: to make one costs more than to decode a histogram.
var decoders = sync.Pool{New: func() any { return &decoder{} }}

type decoder struct {
	packed, plain bytes.Buffer
	inflate       io.ReadCloser
}

// add adds the histogram that text holds, all of it or, where it cannot be read, nothing.
func (c *counts) add(text string) error {
	d := decoders.Get().(*decoder)
	defer decoders.Put(d)
	payload, err := d.decode(text)
	if err != nil {
		return err
	}
	if err := each(payload, func(int, int64) {}); err != nil {
		return err
	}
	if c.of == nil {
		c.of = *cleared.Get().(*[]int64)
	}
	return each(payload, func(at int, n int64) { c.of[at] += n })
}

// histogram is all that was added; nil: nothing was.
func (c *counts) histogram() *hdr.Histogram {
	if c.of == nil {
		return nil
	}
	return hdr.Import(&hdr.Snapshot{LowestTrackableValue: 1, HighestTrackableValue: stats.Longest, SignificantFigures: stats.Digits, Counts: c.of})
}

// free gives up what was added.
func (c *counts) free() {
	if c.of != nil {
		clear(c.of)
		cleared.Put(&c.of)
	}
}

// cleared are counts, all 0, that are not in use.
var cleared = sync.Pool{New: func() any { of := make([]int64, buckets); return &of }}

// buckets is how many counts a histogram of ours has.
var buckets = len(hdr.New(1, stats.Longest, stats.Digits).Export().Counts)

// decode returns the encoded counts, which hold until the decoder is used again.
func (d *decoder) decode(text string) ([]byte, error) {
	d.packed.Reset()
	packed, err := base64.StdEncoding.AppendDecode(d.packed.AvailableBuffer(), []byte(text))
	if err != nil {
		return nil, err
	}
	d.packed.Write(packed) // so that it grows to what is needed
	if len(packed) < outerHeader || binary.BigEndian.Uint32(packed) != outerCookie {
		return nil, errors.New("it is no compressed histogram of version 2")
	}
	in := bytes.NewReader(packed[outerHeader:])
	if d.inflate == nil {
		d.inflate, err = zlib.NewReader(in)
	} else {
		err = d.inflate.(zlib.Resetter).Reset(in, nil)
	}
	if err != nil {
		return nil, err
	}
	d.plain.Reset()
	if _, err := d.plain.ReadFrom(io.LimitReader(d.inflate, innerHeader+int64(9*buckets)+1)); err != nil {
		return nil, err
	}
	p := d.plain.Bytes()
	if len(p) < innerHeader || binary.BigEndian.Uint32(p) != innerCookie || int(binary.BigEndian.Uint32(p[4:])) != len(p)-innerHeader {
		return nil, errors.New("it is not whole")
	}
	digits, low, high := binary.BigEndian.Uint32(p[12:]), binary.BigEndian.Uint64(p[16:]), binary.BigEndian.Uint64(p[24:])
	if digits != stats.Digits || low != 1 || high != stats.Longest {
		return nil, fmt.Errorf("its range is %d to %d ns with %d digits, not that of the other trials", low, high, digits)
	}
	return p[innerHeader:], nil
}

// each yields the counts that are not 0 and their places: numbers in ZigZag LEB128 of at most 9 bytes, a negative one
// for so many zeros (HdrHistogram, V2 encoding).
func each(payload []byte, take func(at int, n int64)) error {
	at := 0
	for len(payload) > 0 {
		v, size := uvarint(payload)
		if size == 0 {
			return errors.New("its counts end within a number")
		}
		payload = payload[size:]
		n := int64(v>>1) ^ -int64(v&1)
		if n < 0 {
			if n < -int64(buckets) {
				return errors.New("it has more counts than its range")
			}
			at -= int(n)
			continue
		}
		if at >= buckets {
			return errors.New("it has more counts than its range")
		}
		if n > 0 {
			take(at, n)
		}
		at++
	}
	return nil
}

// uvarint reads a number whose ninth byte, where it has one, is whole; size 0: it is not all there.
func uvarint(b []byte) (v uint64, size int) {
	for i, c := range b {
		if i == 8 {
			return v | uint64(c)<<56, 9
		}
		if v |= uint64(c&0x7f) << (7 * i); c < 0x80 {
			return v, i + 1
		}
	}
	return 0, 0
}
