package workflow

import "time"

// until is when a wait or sleep ends, by an earlier output.
type until struct {
	on string
	at func(outputs) (time.Time, bool)
}

func untilOf[T any](p *Plan, n *Node, on *Result[T], fn func(T) time.Time) {
	if !p.earlier(n, "deadline", on.of()...) {
		return
	}
	if fn == nil {
		p.fault(n.Name, "a deadline from an output needs a function")
	}
	n.until = &until{namesOf(on.of()), func(o outputs) (time.Time, bool) {
		v, ok := on.in(o)
		if !ok {
			return time.Time{}, false
		}
		at := fn(v).UTC().Truncate(time.Microsecond)
		if at.Year() > 9999 {
			panic(misuse("the deadline of %q lies beyond the year 9999", n.Name))
		}
		return at, true
	}}
}

// Until ends a wait at the time that fn makes of an earlier output, or after the time
// given to the wait if that is earlier; a wait whose own time is 0 has this deadline
// only. A time that has passed, or an output that is missing where the wait has no time
// of its own, is a deadline that is over: what has come is taken, and otherwise the
// wait times out at once. fn must be pure.
func Until[T any](on *Result[T], fn func(T) time.Time) StepOption {
	return stepOption(func(p *Plan, n *Node) {
		if allow("Until", p, n, KindWait) {
			p.once(n.Name, &n.given, "Until")
			untilOf(p, n, on, fn)
		}
	})
}

// SleepUntil adds a durable pause that ends at the time that fn makes of an earlier
// output: at once when that has passed, or when there is no output. fn must be pure.
func SleepUntil[In, T any](wf *Workflow[In], name string, on *Result[T], fn func(T) time.Time, opts ...StepOption) {
	n := &Node{Name: name, Kind: KindSleep}
	wf.mine().add(n, opts)
	untilOf(wf.plan, n, on, fn)
}

// EndsByOutput says whether an earlier output tells when a wait or sleep ends.
func (n *Node) EndsByOutput() bool { return n.until != nil }

// Ends is when a wait or sleep ends that began at start. It is pure.
func (n *Node) Ends(history History, start time.Time) time.Time {
	end := start.Add(n.Within)
	if n.until == nil {
		return end
	}
	var at time.Time
	var ok bool
	o := n.plan.fold(history).outputs
	_ = guard(n.Name, func() { at, ok = n.until.at(o) }) // Next has failed the run for a panic
	if ok && (n.Within == 0 || at.Before(end)) {
		end = at
	}
	if end.Before(start) {
		return start
	}
	return end
}
