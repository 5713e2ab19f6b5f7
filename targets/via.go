package targets

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/sockbench/sockbench/internal/near"
)

// Proxies lists what can stand in front of a target, besides commands.
var Proxies = []Entry{proxyEntry}

// Via names what stands between clients and a target. Text: "none", "proxy", "exec: ./proxy {port} {upstream}".
type Via struct{ Ref }

const (
	noVia    = "none"
	ofTheirs = "exec"
	// behind is where a command in front of a target finds that target: {upstream} is its host:port.
	behind = "{upstream}"
)

func (v *Via) UnmarshalText(text []byte) error {
	model, arg, _ := strings.Cut(strings.TrimSpace(string(text)), ":")
	r := Ref{strings.TrimSpace(model), strings.TrimSpace(arg)}
	names := []string{noVia, ofTheirs}
	for i := range Proxies {
		names = append(names, Proxies[i].Name)
	}
	switch {
	case !slices.Contains(names, r.Model):
		return fmt.Errorf("%q can stand in front of no target%s: choose one of %s", r.Model, near.Suggest(r.Model, names), strings.Join(names, ", "))
	case r.Model == ofTheirs && !strings.Contains(r.Arg, behind):
		return fmt.Errorf("it would not know where the target is: write %s where it takes host:port, as in exec: ./proxy {port} %s", behind, behind)
	case r.Model != ofTheirs && r.Arg != "":
		return fmt.Errorf("via %s takes no argument %q", r.Model, r.Arg)
	case r.Model == noVia:
		r = Ref{}
	}
	v.Ref = r
	return nil
}

func (v Via) MarshalText() ([]byte, error) {
	if v.Ref == (Ref{}) {
		return []byte(noVia), nil
	}
	return v.Ref.MarshalText()
}

// IsZero says that clients connect to the target itself.
func (v Via) IsZero() bool { return v.Ref == Ref{} }

// Foreign says that it is a command of the user's.
func (v Via) Foreign() bool { return v.Model == ofTheirs }

// Start starts it in front of the target at p.Upstream.
func (v Via) Start(ctx context.Context, p Place) (Server, error) {
	if v.Foreign() {
		return startExec(ctx, Spec{Target: v.Ref}, p)
	}
	for i := range Proxies {
		if e := &Proxies[i]; e.Name == v.Model {
			return e.Start(ctx, Spec{Target: v.Ref}, p)
		}
	}
	return nil, errors.New("nothing stands in front of the target")
}
