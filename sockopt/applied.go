package sockopt

import "fmt"

// Class is what became of an asked level.
type Class string

const (
	Equal        Class = "equal"
	Doubled      Class = "doubled"       // the kernel doubles buffer sizes for its own bookkeeping
	Rounded      Class = "rounded"       // to a tick, or up to the kernel's minimum
	Capped       Class = "capped"        // by what Option.Cap names, without an error
	Ignored      Class = "ignored"       // set without an error, reads otherwise
	NotInherited Class = "not_inherited" // the listening socket has it, accepted ones do not
	Inert        Class = "inert"         // reads back, but cannot act here
	Unsupported  Class = "unsupported"   // by this kernel, or this value by any
	Denied       Class = "denied"        // for lack of privilege
	Unknown      Class = "unknown"
)

// Acts says whether an option of this class does what was asked, or as near as the kernel comes.
func (c Class) Acts() bool { return c == Equal || c == Doubled || c == Rounded }

// ByModel marks what a server model must set to be what it is.
const ByModel Class = "by the model"

// Applied is what became of one asked option on the sockets of one side. Comparable.
type Applied struct {
	Option  string `json:"option"`
	Asked   Level  `json:"asked"`
	Got     string `json:"got"`     // after connect or accept
	GotEnd  string `json:"got_end"` // before close
	Class   Class  `json:"class"`
	Error   string `json:"error,omitempty"`
	Note    string `json:"note,omitempty"`
	Sockets int    `json:"sockets"` // how many sockets read back this same way
}

// classify compares what was asked with what reads back.
func classify(o *Option, asked, got value) (Class, string) {
	if o.Kind == Name {
		if asked.name == got.name {
			return Equal, ""
		}
		return Ignored, ""
	}
	want := asked.num
	if o.Reads == ReadsDoubled {
		want *= 2
	}
	switch over := got.num - want; {
	case over == 0 && o.Reads == ReadsDoubled && want != 0:
		return Doubled, ""
	case over == 0:
		return Equal, ""
	case o.Reads == ReadsPayload && over == -timestamps:
		return Equal, fmt.Sprintf("the other %d bytes of a segment are TCP's timestamps", timestamps)
	case o.Mask != 0 && got.num == want&^o.Mask:
		return Rounded, fmt.Sprintf("TCP keeps the bits %d for itself", o.Mask)
	case o.Cap != "" && over < 0:
		limit := got.num
		if o.Reads == ReadsDoubled {
			limit /= 2
		}
		return Capped, fmt.Sprintf("capped by %s=%d", o.Cap, limit)
	case o.Reads == ReadsDoubled:
		return Rounded, fmt.Sprintf("the kernel's minimum is %s", o.text(value{num: got.num / 2}))
	case over > 0 && over <= o.RoundsBy:
		return Rounded, "rounded up to " + o.RoundsTo
	}
	return Ignored, ""
}

// timestamps are the bytes of TCP's option of that name, padded, in every segment.
const timestamps = 12
