package wire

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// packer compresses and decompresses one message after another. Not concurrent. Once its buffers have grown it does not
// allocate.
type packer interface {
	// pack appends src, compressed, to dst.
	pack(dst, src []byte) []byte
	// unpack says how long src is when it is decompressed: at most most. What it says was checked by the format's own
	// checksum.
	unpack(src []byte, most int64) (int64, error)
}

// errBomb is what becomes of a message that would be too large.
var errBomb = errors.New("a compressed body is larger than any message may be")

type sink []byte

func (s *sink) Write(b []byte) (int, error) {
	*s = append(*s, b...)
	return len(b), nil
}

type gzipPacker struct {
	out sink
	w   *gzip.Writer
	in  bytes.Reader
	r   gzip.Reader
	buf [32 << 10]byte
}

func newGzip(level int) packer {
	g := new(gzipPacker)
	var err error
	if g.w, err = gzip.NewWriterLevel(&g.out, level); err != nil {
		panic("gzip level: " + err.Error()) // it was checked
	}
	return g
}

func (g *gzipPacker) pack(dst, src []byte) []byte {
	g.out = dst
	g.w.Reset(&g.out)
	if _, err := g.w.Write(src); err == nil {
		err = g.w.Close()
		if err != nil {
			panic("gzip into memory: " + err.Error())
		}
	}
	dst, g.out = g.out, nil
	return dst
}

func (g *gzipPacker) unpack(src []byte, most int64) (n int64, err error) {
	g.in.Reset(src)
	if err := g.r.Reset(&g.in); err != nil {
		return 0, fmt.Errorf("a compressed body: %w", err)
	}
	g.r.Multistream(false)
	for {
		k, err := g.r.Read(g.buf[:])
		if n += int64(k); n > most {
			return 0, errBomb
		}
		if err == io.EOF && g.in.Len() == 0 {
			return n, nil
		}
		if err == io.EOF {
			return 0, fmt.Errorf("a compressed body ends %d bytes before its frame does", g.in.Len())
		}
		if err != nil {
			return 0, fmt.Errorf("a compressed body: %w", err)
		}
	}
}

type zstdPacker struct {
	e   *zstd.Encoder
	d   *zstd.Decoder
	buf []byte
}

func newZstd(level int) packer {
	e, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.EncoderLevelFromZstd(level)), zstd.WithEncoderConcurrency(1))
	if err != nil {
		panic("zstd: " + err.Error()) // its options are ours alone
	}
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(MaxFrame))
	if err != nil {
		panic("zstd: " + err.Error())
	}
	return &zstdPacker{e: e, d: d}
}

func (z *zstdPacker) pack(dst, src []byte) []byte { return z.e.EncodeAll(src, dst) }

func (z *zstdPacker) unpack(src []byte, most int64) (int64, error) {
	out, err := z.d.DecodeAll(src, z.buf[:0])
	if errors.Is(err, zstd.ErrDecoderSizeExceeded) || errors.Is(err, zstd.ErrWindowSizeExceeded) || int64(len(out)) > most {
		return 0, errBomb
	}
	if err != nil {
		return 0, fmt.Errorf("a compressed body: %w", err)
	}
	z.buf = out
	return int64(len(out)), nil
}
