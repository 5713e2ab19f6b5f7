package near

import "testing"

func TestWord(t *testing.T) {
	known := []string{"TCP_NODELAY", "SO_RCVBUF", "connections", "run", "epoll"}
	for typed, want := range map[string]string{
		"NODELAY": "TCP_NODELAY", "tcp_nodlay": "TCP_NODELAY", "so_rcvbuf": "SO_RCVBUF", "conections": "connections",
		"rnu": "run", "epol": "epoll", "banana": "", "x": "", "": "",
	} {
		if got := Word(typed, known); got != want {
			t.Errorf("%q: %q, want %q", typed, got, want)
		}
	}
	if got := Suggest("epol", known); got != "; did you mean epoll?" {
		t.Error(got)
	}
	if got := Suggest("banana", known); got != "" {
		t.Error(got)
	}
}
