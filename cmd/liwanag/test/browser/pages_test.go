package browser

import (
	"testing"

	"github.com/chromedp/chromedp"
)

func TestEveryPageIsAccessibleInBothSchemesAndQuiet(t *testing.T) {
	w := newWorld(t)
	pages := w.furnish()
	p := w.signedIn()
	p.may = []string{"/nowhere"} // it is answered 404
	for _, shown := range pages {
		p.run(scheme("light"))
		p.goTo(shown.path)
		p.see(shown.text)
		p.accessible(shown.path + " in light")
		if shown.picture != "" {
			p.picture(shown.picture)
		}
		p.run(scheme("dark"))
		p.accessible(shown.path + " in dark")
		if shown.picture == "overview" || shown.picture == "run" {
			p.picture(shown.picture + "-dark")
		}
		p.quiet()
	}
	p.run(chromedp.EmulateViewport(390, 844), scheme("light"))
	for _, shown := range pages {
		p.goTo(shown.path)
		p.see(shown.text)
		if over := eval[int](p, `document.documentElement.scrollWidth - innerWidth`); over > 0 {
			t.Errorf("%s is %d pixels wider than a phone", shown.path, over)
		}
		if shown.picture == "subscriber" {
			p.picture(shown.picture + "-phone")
		}
	}
	p.goTo("/runs")
	p.accessible("/runs on a phone")
}
