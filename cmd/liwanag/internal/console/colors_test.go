package console

import (
	"math"
	"regexp"
	"strconv"
	"testing"
)

var token = regexp.MustCompile(`--([a-z-]+): light-dark\(#([0-9a-f]{6}), #([0-9a-f]{6})\);`)

// luminance is WCAG's relative luminance of a color.
func luminance(t *testing.T, hex string) float64 {
	t.Helper()
	var l float64
	for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
		n, err := strconv.ParseUint(hex[2*i:2*i+2], 16, 8)
		if err != nil {
			t.Fatal(err)
		}
		c := float64(n) / 255
		if c <= 0.04045 {
			c /= 12.92
		} else {
			c = math.Pow((c+0.055)/1.055, 2.4)
		}
		l += weight * c
	}
	return l
}

func contrast(t *testing.T, a, b string) float64 {
	t.Helper()
	la, lb := luminance(t, a), luminance(t, b)
	return (max(la, lb) + 0.05) / (min(la, lb) + 0.05)
}

func TestEveryTextIsReadableOnItsGroundInBothSchemes(t *testing.T) {
	sheet, err := embedded.ReadFile("assets/app.css")
	if err != nil {
		t.Fatal(err)
	}
	colors := map[string][2]string{}
	for _, m := range token.FindAllStringSubmatch(string(sheet), -1) {
		colors[m[1]] = [2]string{m[2], m[3]}
	}
	pairs := [][2]string{{"accent-text", "accent"}}
	for _, ground := range []string{"paper", "card", "sunk"} {
		for _, text := range []string{"text", "muted", "accent"} {
			pairs = append(pairs, [2]string{text, ground})
		}
	}
	for _, tone := range []string{"good", "bad", "wait", "busy", "calm"} {
		pairs = append(pairs, [2]string{tone, tone + "-soft"}, [2]string{"text", tone + "-soft"}, [2]string{tone, "card"})
	}
	check := func(text, ground string, least float64) {
		for i, scheme := range []string{"light", "dark"} {
			a, b := colors[text][i], colors[ground][i]
			if a == "" || b == "" {
				t.Fatalf("no color %s or %s", text, ground)
			}
			if got := contrast(t, a, b); got < least {
				t.Errorf("%s on %s, %s: %.2f, not %.1f", text, ground, scheme, got, least)
			}
		}
	}
	for _, p := range pairs {
		check(p[0], p[1], 4.5)
	}
	for _, ground := range []string{"paper", "card", "sunk"} {
		check("edge", ground, 3) // of fields and buttons
	}
}
