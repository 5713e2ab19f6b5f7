package proc

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

func TestFiles(t *testing.T) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	before, _ := Files([]int{os.Getpid()})
	for range 10 {
		f, err := os.Open("/dev/null")
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
	}
	open, most := Files([]int{os.Getpid(), 1 << 30})
	if before < 3 || open != before+10 || uint64(most) != min(limit.Cur, 1<<31-1) {
		t.Errorf("%d open files, and ten later %d of %d; the limit is %d", before, open, most, limit.Cur)
	}
	if got := len(numbered("/proc/self/fd")) - 1; got != open { // the listing has one itself
		t.Errorf("%d files are listed, %d said to be open", got, open)
	}
	if open, most := Files([]int{1 << 30}); open != 0 || most != 0 {
		t.Errorf("nobody has %d of %d", open, most)
	}
}
