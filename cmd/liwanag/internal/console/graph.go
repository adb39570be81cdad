package console

import (
	"fmt"
	"strings"

	"github.com/liwanag/liwanag/workflow"
)

// Measures of a drawn definition, in the picture's own units.
const (
	graphLeft    = 84.0  // of the steps
	graphWide    = 340.0 // a step
	graphMiddle  = graphLeft + graphWide/2
	graphGap     = 26.0
	graphAsk     = 34.0 // a condition
	graphPill    = 30.0 // begin and ends
	graphLine    = 16.0
	graphEarly   = 24.0 // where ways of early finishes run down
	graphAround  = 58.0 // where ways around skipped steps run down
	graphAside   = 500.0
	graphAsideW  = 250.0
	graphWidth   = graphAside + graphAsideW + 10
	graphPadding = 14.0
)

// graph is a definition as a picture.
type graph struct {
	Height   float64
	Top, End float64 // of the frame around the steps
	Boxes    []graphBox
	Ways     []graphWay
	Words    []graphText
	about    string
}

// graphBox is a step, ask (a condition), pill (begin or an end) or handler.
type graphBox struct {
	Kind, Class    string
	X, Y, W, H     float64
	Title, Runs    string
	Lines          []string
	TitleY, LinesY float64
}

// graphWay is a line with an arrow; dotted from any step to a handler.
type graphWay struct {
	Path   string
	Dotted bool
}

type graphText struct {
	X, Y float64
	Text string
}

// drawGraph draws a definition from its begin down to its end.
func drawGraph(d definition) graph {
	p := &painter{g: graph{about: fmt.Sprintf("%s: %s from begin to end, with ways around skipped steps, "+
		"early finishes and handlers. The table below says the same in words.",
		d.Name, plural(int64(len(d.Steps)), "step", "steps"))}, y: 4}
	p.pill("start", "", "", graphMiddle, p.y)
	p.y += graphPill
	p.g.Top = p.y + graphGap/2
	for _, s := range d.Steps {
		p.step(d, s)
	}
	p.g.End = p.y + graphGap/2
	p.ending(d)
	p.asides(d)
	p.g.Height = max(p.y, p.aside) + graphPadding
	return p.g
}

type painter struct {
	g      graph
	y      float64 // end of what is drawn
	word   string  // on the way down to what comes next
	around []float64
	early  []float64
	aside  float64
}

// down draws the way to what comes next, and moves there.
func (p *painter) down() {
	to := p.y + graphGap
	p.g.Ways = append(p.g.Ways, graphWay{Path: "M" + px(graphMiddle) + " " + px(p.y) + "V" + px(to)})
	for _, from := range p.around {
		p.g.Ways = append(p.g.Ways, graphWay{Path: fmt.Sprintf("M%s %sH%sV%sH%s", px(graphLeft), px(from), px(graphAround),
			px(to-graphGap/2), px(graphMiddle))})
	}
	p.around = nil
	if p.word != "" {
		p.text(graphMiddle+8, p.y+graphGap/2+4, p.word)
		p.word = ""
	}
	p.y = to
}

func (p *painter) text(x, y float64, text string) {
	p.g.Words = append(p.g.Words, graphText{x, y, text})
}

func (p *painter) pill(title, class, runs string, middle, y float64) {
	const wide = 150.0
	p.g.Boxes = append(p.g.Boxes, graphBox{Kind: "pill", Class: class, X: middle - wide/2, Y: y, W: wide, H: graphPill,
		Title: title, Runs: runs, TitleY: y + graphPill/2 + 4})
}

func (p *painter) step(d definition, s workflow.NodeDescription) {
	if s.Condition != "" {
		p.down()
		p.g.Boxes = append(p.g.Boxes, graphBox{Kind: "ask", X: graphLeft, Y: p.y, W: graphWide, H: graphAsk,
			Title: words(s.Condition) + "?", TitleY: p.y + graphAsk/2 + 4})
		middle := p.y + graphAsk/2
		p.y += graphAsk
		if s.Kind == "finish" {
			p.early = append(p.early, middle)
			p.text(graphLeft-24, middle-5, "yes")
			p.word = "no"
			return
		}
		p.word = "yes"
		p.text(graphLeft-20, middle-5, "no")
		p.down()
		p.around = append(p.around, middle)
	} else {
		p.down()
	}
	p.box(d, s, "step", graphLeft, graphWide, &p.y)
}

// box draws a step or a handler at y and moves y below it.
func (p *painter) box(d definition, s workflow.NodeDescription, kind string, x, wide float64, y *float64) {
	b := graphBox{Kind: kind, Class: string(s.Kind), X: x, Y: *y, W: wide, Title: s.Name, Runs: d.standing(s.Name),
		TitleY: *y + 21, LinesY: *y + 21 + graphLine}
	if s.Kind == "wait" || s.Kind == "sleep" {
		b.Lines = append(b.Lines, kindWords(s))
	}
	for _, policy := range []string{deadlineWords(s), retryWords(s)} {
		if policy != "" {
			b.Lines = append(b.Lines, strings.Split(policy, "; ")...)
		}
	}
	b.H = 32 + graphLine*float64(len(b.Lines))
	p.g.Boxes = append(p.g.Boxes, b)
	*y += b.H
}

// ending draws the good end, and the ways of early finishes to it.
func (p *painter) ending(d definition) {
	p.down()
	p.pill("completed", "good", countOf(d.runs("", "completed")), graphMiddle, p.y)
	for _, from := range p.early {
		p.g.Ways = append(p.g.Ways, graphWay{Path: fmt.Sprintf("M%s %sH%sV%sH%s", px(graphLeft), px(from), px(graphEarly),
			px(p.y+graphPill/2), px(graphMiddle-75))})
	}
	p.y += graphPill
}

// asides draws how else a run ends: from any step, through a handler if there is
// one.
func (p *painter) asides(d definition) {
	p.aside = p.g.Top + 8
	edge := graphLeft + graphWide + 16
	for _, way := range []struct {
		when, class string
		handler     *workflow.NodeDescription
		runs        int64
	}{
		{"failed or timed out", "bad", d.OnError, d.runs("", "failed", "timed_out")},
		{"canceled", "calm", d.OnCancel, d.runs("", "canceled")},
	} {
		p.text(graphAside, p.aside+10, "when "+way.when)
		p.aside += 18
		middle := graphAside + graphAsideW/2
		from := p.aside + graphPill/2
		if way.handler != nil {
			from = p.aside + 20
			p.box(d, *way.handler, "handler", graphAside, graphAsideW, &p.aside)
			p.g.Ways = append(p.g.Ways, graphWay{Path: "M" + px(middle) + " " + px(p.aside) + "v" + px(graphGap)})
			p.aside += graphGap
		}
		p.pill(way.when, way.class, countOf(way.runs), middle, p.aside)
		to := graphAside
		if way.handler == nil {
			to = middle - 75
		}
		begin := min(from, p.g.End-12) // short definitions end above their handlers
		p.g.Ways = append(p.g.Ways, graphWay{Path: "M" + px(edge) + " " + px(begin) + "h22V" + px(from) + "H" + px(to), Dotted: true})
		p.aside += graphPill + graphGap + 8
	}
}

// countOf is a count beside an end; empty for none.
func countOf(n int64) string {
	if n == 0 {
		return ""
	}
	return number(n)
}
