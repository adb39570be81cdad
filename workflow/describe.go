package workflow

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Description is a plan as data, for people and for goldens.
type Description struct {
	Name       string            `json:"name"`
	Version    int               `json:"version"`
	RunTimeout string            `json:"runTimeout,omitempty"`
	Steps      []NodeDescription `json:"steps"`
	OnError    *NodeDescription  `json:"onError,omitempty"`
	OnCancel   *NodeDescription  `json:"onCancel,omitempty"`
	Returns    string            `json:"returns,omitempty"` // the steps whose output is that of the run
}

// NodeDescription is a node as data.
type NodeDescription struct {
	Name              string            `json:"name"`
	Kind              Kind              `json:"kind"`
	Condition         string            `json:"condition,omitempty"` // several are joined by "and"
	On                string            `json:"on,omitempty"`        // the steps whose outputs it sees
	FailsWith         string            `json:"failsWith,omitempty"` // the code with which an early end fails the run
	Retry             *RetryDescription `json:"retry,omitempty"`
	Timeout           string            `json:"timeout,omitempty"` // of one attempt
	Within            string            `json:"within,omitempty"`
	Until             string            `json:"until,omitempty"` // the step whose output gives the end of a wait or sleep
	AtMostOnce        bool              `json:"atMostOnce,omitempty"`
	Events            []string          `json:"events,omitempty"`
	All               bool              `json:"all,omitempty"`
	Reconciles        bool              `json:"reconciles,omitempty"`
	ContinueOnTimeout bool              `json:"continueOnTimeout,omitempty"`
	Undo              *NodeDescription  `json:"undo,omitempty"` // what takes its effect back

	// Of a node with sub-runs.
	Over     string            `json:"over,omitempty"`     // the step whose output a map goes over
	AtMost   int               `json:"atMost,omitempty"`   // open at once, of a map
	Tolerate int               `json:"tolerate,omitempty"` // that may fail
	Enough   int               `json:"enough,omitempty"`   // completed ones that end it
	Rounds   int               `json:"rounds,omitempty"`   // of a repeat, at most
	Bodies   []BodyDescription `json:"bodies,omitempty"`   // of its sub-runs: one for all, or one a branch
	// EachWithin bounds each sub-run; ContinueOnFailure: the step completes whatever fails.
	EachWithin        string `json:"eachWithin,omitempty"`
	ContinueOnFailure bool   `json:"continueOnFailure,omitempty"`
}

// BodyDescription is what a sub-run is of, as data.
type BodyDescription struct {
	Branch  string `json:"branch,omitempty"` // its name
	Child   string `json:"child,omitempty"`  // the definition that it is, when it is one of its own
	Version int    `json:"version,omitempty"`

	Steps    []NodeDescription `json:"steps"`
	OnError  *NodeDescription  `json:"onError,omitempty"`
	OnCancel *NodeDescription  `json:"onCancel,omitempty"`
}

// RetryDescription is a retry policy as data.
type RetryDescription struct {
	MaxAttempts  int     `json:"maxAttempts"`
	Backoff      Backoff `json:"backoff"`
	InitialDelay string  `json:"initialDelay"`
	MaxDelay     string  `json:"maxDelay,omitempty"`
	Jitter       float64 `json:"jitter,omitempty"`
	RetryOn      []int   `json:"retryOn,omitempty"`
}

// Describe is the plan as data.
func (p *Plan) Describe() Description {
	d := Description{Name: p.Name, Version: p.Version, RunTimeout: short(p.RunTimeout)}
	for _, n := range p.Nodes {
		d.Steps = append(d.Steps, n.describe())
	}
	if p.ErrorNode != nil {
		h := p.ErrorNode.describe()
		d.OnError = &h
	}
	if p.CancelNode != nil {
		h := p.CancelNode.describe()
		d.OnCancel = &h
	}
	var returns []string
	for _, n := range p.returns {
		returns = append(returns, n.Name)
	}
	d.Returns = strings.Join(returns, ", ")
	return d
}

func (n *Node) describe() NodeDescription {
	d := NodeDescription{Name: n.Name, Kind: n.Kind, Within: short(n.Within), AtMostOnce: n.AtMostOnce, All: n.All,
		Reconciles: n.Reconciles, ContinueOnTimeout: n.ContinueOnTimeout, FailsWith: n.FailsWith}
	var labels, on []string
	for _, c := range n.Conditions {
		labels = append(labels, c.words())
		if c.On != "" && !slices.Contains(on, c.On) {
			on = append(on, c.On)
		}
	}
	d.Condition, d.On = strings.Join(labels, " and "), strings.Join(on, ", ")
	if n.until != nil {
		d.Until = n.until.on
	}
	if n.Kind == KindStep || n.Kind == KindHandler || n.Reconciles {
		d.Timeout = short(n.Timeout)
	}
	for _, e := range n.Events {
		d.Events = append(d.Events, e.EventName())
	}
	if n.undo != nil && n.Sub == nil {
		undo := n.undo.describe()
		d.Undo = &undo
	}
	if n.Sub != nil {
		n.Sub.describe(&d)
	}
	if r := n.Retry; r.MaxAttempts > 1 {
		backoff := r.Backoff
		if backoff == "" {
			backoff = Exponential
		}
		d.Retry = &RetryDescription{MaxAttempts: r.MaxAttempts, Backoff: backoff, InitialDelay: cmp.Or(short(r.InitialDelay), "0s"),
			MaxDelay: short(r.MaxDelay), Jitter: r.Jitter, RetryOn: r.RetryOn}
	}
	return d
}

func (s *Sub) describe(d *NodeDescription) {
	d.Over, d.Tolerate, d.Enough, d.Rounds = s.Over, s.Tolerate, s.Need, s.Rounds
	if d.EachWithin, d.ContinueOnFailure = short(s.Each), s.GoesOn; s.Tolerate == MaxSubRuns {
		d.Tolerate = 0
	}
	if d.Kind == KindMap {
		d.AtMost = s.AtMost
	}
	for i, body := range s.Bodies {
		inner := body.Describe()
		b := BodyDescription{Steps: inner.Steps, OnError: inner.OnError, OnCancel: inner.OnCancel}
		if i < len(s.Branches) {
			b.Branch = s.Branches[i]
		}
		if s.Own {
			b.Child, b.Version = inner.Name, inner.Version
		}
		d.Bodies = append(d.Bodies, b)
	}
}

// short prints a duration as people write it: 24h, not 24h0m0s; empty for 0.
func short(d time.Duration) string {
	if d == 0 {
		return ""
	}
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// Mermaid draws the plan as a Mermaid flowchart: the steps in order, conditions
// as diamonds with the way around what they skip, waits as slanted boxes, and
// dotted ways to the handlers.
func (p *Plan) Mermaid() string {
	d := drawing{}
	d.line("flowchart TD")
	d.line("    start([start])")
	d.line("    subgraph steps[%s]", quote(p.Name))
	open := d.nodes(p.Nodes, 0, []exit{{"start", ""}})
	d.line("    end")
	d.line("    completed([completed])")
	d.arrows(append(d.early, open...), "completed")
	ends := "failed"
	if p.canTimeOut() {
		ends = "failed or timed out"
	}
	d.handler(p.ErrorNode, ends, "failed")
	d.handler(p.CancelNode, "canceled", "canceled")
	// A node that an edge names inside of a subgraph would belong to it.
	return d.b.String() + d.edges.String()
}

// canTimeOut says whether a run can end as timed_out.
func (p *Plan) canTimeOut() bool {
	return p.RunTimeout > 0 || slices.ContainsFunc(p.Nodes, func(n *Node) bool { return n.Kind == KindWait && !n.ContinueOnTimeout })
}

// exit is a way out of a drawn node that leads to the next one.
type exit struct{ from, label string }

type drawing struct {
	b, edges strings.Builder
	early    []exit // of finishes that hold
	fails    []exit // of those that fail the run
	in       string // of a body: what its ids begin with
}

func (d *drawing) line(format string, args ...any) { fmt.Fprintf(&d.b, format+"\n", args...) }

func (d *drawing) arrows(from []exit, to string) {
	for _, e := range from {
		if e.label == "" {
			fmt.Fprintf(&d.edges, "    %s --> %s\n", e.from, to)
		} else {
			fmt.Fprintf(&d.edges, "    %s -- %s --> %s\n", e.from, e.label, to)
		}
	}
}

// nodes draws nodes, of whose conditions the first that many are drawn, and returns
// the ways on. Those in a row that share a condition stand behind one question.
func (d *drawing) nodes(nodes []*Node, drawn int, from []exit) (open []exit) {
	for len(nodes) > 0 {
		if len(nodes[0].Conditions) == drawn {
			from, nodes = d.node(nodes[0], from), nodes[1:]
			continue
		}
		c := nodes[0].Conditions[drawn]
		var joined []exit // of the ways of a choice
		for len(nodes) > 0 && len(nodes[0].Conditions) > drawn {
			next := nodes[0].Conditions[drawn]
			if next != c && (c.choice == nil || next.choice != c.choice) {
				break
			}
			n := 1
			for n < len(nodes) && len(nodes[n].Conditions) > drawn && nodes[n].Conditions[drawn] == next {
				n++
			}
			no, yes := d.question(nodes[0], next, drawn, from)
			if yes == nil {
				from, nodes = no, nodes[n:]
				continue
			}
			joined, from, nodes = append(joined, d.nodes(nodes[:n], drawn+1, yes)...), no, nodes[n:]
		}
		from = append(from, joined...)
	}
	return from
}

// question draws a condition: the ways on when it does not hold and when it does. An
// early end is its question; what is there otherwise is none.
func (d *drawing) question(n *Node, c *Condition, drawn int, from []exit) (no, yes []exit) {
	if c.Label == otherwise && c.Test == "choose" {
		return nil, from
	}
	id := fmt.Sprintf("n%d", n.index)
	ends := n.Kind == KindFinish && drawn == len(n.Conditions)-1
	if !ends {
		id = "if" + id
		if drawn > 0 {
			id = fmt.Sprintf("if%d%s", drawn, id[2:])
		}
	}
	id = d.in + id
	d.line("    %s{%s}", id, quote(c.Label))
	d.arrows(from, id)
	holds, not := "yes", "no"
	if c.Test == "unless" {
		holds, not = not, holds
	}
	switch {
	case ends && n.FailsWith != "":
		d.fails = append(d.fails, exit{id, holds})
	case ends:
		d.early = append(d.early, exit{id, holds})
	default:
		yes = []exit{{id, holds}}
	}
	return []exit{{id, not}}, yes
}

// node draws a node and the ways to it, and returns the ways on.
func (d *drawing) node(n *Node, from []exit) (open []exit) {
	id := fmt.Sprintf("%sn%d", d.in, n.index)
	if n.Sub != nil {
		d.bodies(n, id)
		d.arrows(from, id)
		return []exit{{id, ""}}
	}
	switch n.Kind {
	case KindWait:
		d.line("    %s[/%s/]", id, n.caption())
	case KindSleep:
		d.line("    %s([%s])", id, n.caption())
	default:
		d.line("    %s[%s]", id, n.caption())
	}
	d.arrows(from, id)
	if n.ContinueOnTimeout {
		return append(open, exit{id, "arrived"}, exit{id, "timed out"})
	}
	return append(open, exit{id, ""})
}

// bodies draws what the sub-runs of a node are of, in a frame.
func (d *drawing) bodies(n *Node, id string) {
	d.line("    subgraph %s[%s]", id, n.caption())
	for i, body := range n.Sub.Bodies {
		if n.Sub.Own {
			d.line("    %sb%d[[%s]]", id, i, quote(fmt.Sprintf("%s version %d", body.Name, body.Version)))
			continue
		}
		inner := &drawing{in: fmt.Sprintf("%sb%d", id, i)}
		var from []exit
		if i < len(n.Sub.Branches) {
			inner.line("    %s([%s])", inner.in, quote(n.Sub.Branches[i]))
			from = []exit{{inner.in, ""}}
		}
		inner.nodes(body.Nodes, 0, from)
		if out := append(inner.early, inner.fails...); len(out) > 0 {
			inner.line("    %send([ends])", inner.in)
			inner.arrows(out, inner.in+"end")
		}
		d.b.WriteString(inner.b.String())
		d.edges.WriteString(inner.edges.String())
	}
	d.line("    end")
}

// Words say what the sub-runs of the node are, and how they end; empty: it has none.
func (d NodeDescription) Words() string {
	if len(d.Bodies) == 0 {
		return ""
	}
	s := &Sub{Over: d.Over, AtMost: d.AtMost, Tolerate: d.Tolerate, Need: d.Enough, Rounds: d.Rounds}
	if d.ContinueOnFailure && d.Tolerate == 0 {
		s.Tolerate = MaxSubRuns
	}
	return strings.Join(s.words(d.Kind), ", ")
}

// words are what the sub-runs of a node are, and how they end, for people.
func (s *Sub) words(kind Kind) (words []string) {
	switch kind {
	case KindMap:
		words = append(words, "for each of "+s.Over, fmt.Sprintf("%d at once", s.AtMost))
	case KindRepeat:
		words = append(words, fmt.Sprintf("again and again, at most %d rounds", s.Rounds))
	case KindRace:
		return []string{"the first that completes"}
	case KindChild:
		return []string{"a run of its own"}
	default:
		words = append(words, "at the same time")
	}
	switch {
	case s.Tolerate == MaxSubRuns:
		words = append(words, "all may fail")
	case s.Tolerate > 0:
		words = append(words, fmt.Sprintf("%d may fail", s.Tolerate))
	}
	if s.Each > 0 {
		words = append(words, "each within "+short(s.Each))
	}
	if s.Need > 0 {
		words = append(words, fmt.Sprintf("%d are enough", s.Need))
	}
	return words
}

// handler draws the way from any step to an ending, through its handler.
func (d *drawing) handler(n *Node, when, end string) {
	id := end
	if n != nil {
		id = "on" + end
		d.line("    %s[%s]", id, n.caption())
		d.arrows([]exit{{id, ""}}, end)
	}
	fmt.Fprintf(&d.edges, "    steps -. %s .-> %s\n", when, id)
	if end == "failed" {
		d.arrows(d.fails, id)
	}
	d.line("    %s([%s])", end, when)
}

func (n *Node) caption() string {
	parts := []string{n.Name}
	switch n.Kind {
	case KindWait:
		among := ""
		if len(n.Events) > 1 {
			among = "any of "
			if n.All {
				among = "all of "
			}
		}
		parts = append(parts, "wait for "+among+strings.Join(n.describe().Events, ", "), n.bound())
		if n.Reconciles {
			parts = append(parts, "looks by itself")
		}
	case KindSleep:
		parts = append(parts, "sleep "+strings.TrimPrefix(n.bound(), "within "))
	}
	if n.Sub != nil {
		parts = append(parts, n.Sub.words(n.Kind)...)
		if n.Within > 0 {
			parts = append(parts, "within "+short(n.Within))
		}
	}
	if n.Retry.MaxAttempts > 1 {
		parts = append(parts, fmt.Sprintf("%d attempts", n.Retry.MaxAttempts))
	}
	if n.AtMostOnce {
		parts = append(parts, "at most once")
	}
	if n.undo != nil && n.Sub == nil {
		parts = append(parts, "undone when the run does not end well")
	}
	for i := range parts {
		parts[i] = escape(parts[i])
	}
	return `"` + strings.Join(parts, "<br>") + `"`
}

func quote(text string) string { return `"` + escape(text) + `"` }

// escape writes text so that it means itself inside a quoted Mermaid label,
// which knows no backslash.
func escape(text string) string {
	return strings.NewReplacer("#", "#35;", `"`, "#quot;", "<", "#lt;", ">", "#gt;", "`", "#96;", "\n", " ", "\r", " ").Replace(text)
}
