package console

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/apiclient"
	"github.com/liwanag/liwanag/workflow/runapi"
)

// htmxConfig takes from htmx what the policy forbids or pages do not use.
const htmxConfig = `{"prefix":"data-hx-","history":"reload","includeIndicatorCSS":false,"mode":"same-origin","morphSkip":"[data-keep]"}`

// tone is how a status looks; its word always stands beside.
type tone struct{ Class, Icon string }

var tones = map[string]tone{
	"completed": {"good", "check"}, "enriched": {"good", "check"}, "accepted": {"good", "check"}, "settled": {"good", "check"},
	"done": {"good", "check"}, "delivered": {"good", "check"}, "sent": {"good", "check"}, "enabled": {"good", "check"},
	"running": {"busy", "run"}, "sending": {"busy", "run"}, "importing": {"busy", "run"}, "enriching": {"busy", "run"}, "submitted": {"busy", "run"},
	"waiting": {"wait", "clock"}, "pending": {"calm", "clock"}, "prepared": {"calm", "clock"}, "previewed": {"wait", "clock"}, "needs_mapping": {"wait", "question"}, "stored": {"calm", "clock"},
	"failed": {"bad", "cross"}, "timed_out": {"bad", "alarm"}, "refused": {"bad", "cross"}, "rejected": {"bad", "cross"}, "dead": {"bad", "cross"}, "failing": {"bad", "cross"},
	"held": {"bad", "hand"}, "ambiguous": {"wait", "question"}, "quarantined": {"bad", "hand"}, "unmatched": {"wait", "question"},
	"not_found": {"calm", "question"}, "canceled": {"calm", "stop"}, "skipped": {"calm", "skip"}, "superseded": {"calm", "skip"},
	"retrying": {"wait", "clock"}, "dropped": {"calm", "skip"},
	"secret_missing": {"wait", "question"}, "ignored": {"calm", "skip"}, "disabled": {"calm", "stop"}, "none": {"calm", "dash"}, "late": {"wait", "clock"},
	"unsubscribed": {"calm", "stop"}, "subscribed": {"good", "check"},
}

func toneOf(status string) tone {
	if t, ok := tones[status]; ok {
		return t
	}
	return tone{"calm", "dash"}
}

// words makes words of a name of ours: timed_out is timed out.
func words(name string) string { return strings.ReplaceAll(name, "_", " ") }

// optionWords are choices whose name is no word.
var optionWords = map[string]string{"none": "not looked up", "corporate": "work"}

// shortID keeps the kind and the end of an id, where it differs from others.
func shortID(id string) string {
	kind, rest, ok := strings.Cut(id, "_")
	if !ok || len(rest) <= 8 {
		return id
	}
	return kind + "_…" + rest[len(rest)-8:]
}

// number groups the digits of a count.
func number(n int64) string {
	digits := strconv.FormatInt(n, 10)
	sign := ""
	if strings.HasPrefix(digits, "-") {
		sign, digits = "−", digits[1:]
	}
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return sign + digits
}

// amount prints credits of which there may be parts.
func amount(f float64) string {
	if f == float64(int64(f)) {
		return number(int64(f))
	}
	whole, rest, _ := strings.Cut(strconv.FormatFloat(f, 'f', 2, 64), ".")
	n, err := strconv.ParseInt(whole, 10, 64)
	if err != nil {
		return whole // beyond what is countable
	}
	return number(n) + "." + rest
}

// plural is "1 run", "2 runs".
func plural(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return number(n) + " " + many
}

// length prints a duration with at most two units.
func length(d time.Duration) string {
	if d < 0 {
		d = -d
	}
	switch {
	case d == 0:
		return "0 s"
	case d < time.Millisecond:
		return fmt.Sprintf("%d µs", d.Microseconds())
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < 10*time.Second:
		return strings.Replace(fmt.Sprintf("%.1f s", d.Seconds()), ".0 s", " s", 1)
	}
	units := []struct {
		of   time.Duration
		name string
	}{{24 * time.Hour, "d"}, {time.Hour, "h"}, {time.Minute, "min"}, {time.Second, "s"}}
	for i, u := range units {
		if d < u.of {
			continue
		}
		text := fmt.Sprintf("%d %s", d/u.of, u.name)
		if rest := d % u.of; i+1 < len(units) && rest >= units[i+1].of {
			text += fmt.Sprintf(" %d %s", rest/units[i+1].of, units[i+1].name)
		}
		return text
	}
	return d.String()
}

// relative says how far a time is from now; the page's script keeps it true.
func relative(t, now time.Time) string {
	switch d := now.Sub(t); {
	case d > -time.Second && d < time.Second:
		return "now"
	case d > 0:
		return coarse(d) + " ago"
	default:
		return "in " + coarse(-d)
	}
}

func coarse(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%d min", d/time.Minute)
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", d/time.Hour)
	}
	return fmt.Sprintf("%d d", d/(24*time.Hour))
}

func iso(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

// full is a time for people, to the second.
func full(t time.Time) string { return t.UTC().Format("2 Jan 2006 15:04:05 UTC") }

// indented is JSON for people; what is none is shown as it is.
func indented(raw json.RawMessage) string {
	var out bytes.Buffer
	if json.Indent(&out, raw, "", "  ") != nil {
		return strings.ToValidUTF8(string(raw), "�")
	}
	return out.String()
}

// outside is an address that somebody else wrote, if it may be a link: https only.
func outside(address string) (string, bool) {
	u, err := url.Parse(strings.TrimSpace(address))
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil {
		return "", false
	}
	return u.String(), true
}

// advice splits what happened from what to try.
func advice(p *apiclient.Problem) (what, try string) {
	what, try, _ = strings.Cut(p.Detail, "Try: ")
	if what = strings.TrimSpace(what); what == "" {
		what = p.Title
	}
	if what == "" {
		what = "it did not work"
		if p.Status == http.StatusNotFound {
			what = "there is no such page"
		}
	}
	return capital(what), strings.TrimSpace(try)
}

// pager is where a page of a listing stands; its state is in the address.
type pager struct {
	First string // address of the first page, empty when this is it
	Prev  string // of the one before, empty where the listing has no way back
	Next  string // empty on the last page
}

// pagerOf makes the links of a page that was read with v's cursor.
func (v *visit) pagerOf(next string) pager {
	var p pager
	if v.URL.Query().Get("cursor") != "" {
		p.First = v.here("cursor", "")
	}
	if next != "" {
		p.Next = v.here("cursor", next)
	}
	return p
}

// pageSize is how many rows a page of a listing has.
const pageSize = 50

func (v *visit) page() runapi.Paging {
	return runapi.Paging{Limit: pageSize, Cursor: v.URL.Query().Get("cursor")}
}

// choice is an option of a select.
type choice struct{ Value, Text string }

// choices are options whose text is their name in words.
func choices(all string, names ...string) []choice {
	options := []choice{{"", all}}
	for _, n := range names {
		options = append(options, choice{n, firstOf(optionWords[n], words(n))})
	}
	return options
}

func noTime(name string) error {
	return &apiclient.Problem{Problem: api.Problem{Status: http.StatusBadRequest, Code: "malformed",
		Detail: name + " is no time\n  Try: 24h, 2026-01-31, or 2026-01-31T12:00:00Z"}}
}

func (v *visit) timeOf(text string) (time.Time, error) {
	for _, form := range []string{time.RFC3339Nano, "2006-01-02T15:04", time.DateOnly} {
		if t, err := time.ParseInLocation(form, text, time.UTC); err == nil {
			return t, nil
		}
	}
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		return time.Time{}, errors.New("no time")
	}
	return v.now.Add(-d), nil
}

// filter reads what the address selects into in, a pointer to a query of the API.
func (v *visit) filter(in any) error {
	if name := runapi.Decode(v.Request, in, v.timeOf); name != "" {
		return noTime(name)
	}
	return nil
}

func capital(s string) string {
	r, size := utf8.DecodeRuneInString(s)
	return string(unicode.ToUpper(r)) + s[size:]
}

// withValue adds a value that is chosen but not among the options, so that a form
// says what it filters by.
func withValue(options []choice, value string) []choice {
	if slices.ContainsFunc(options, func(o choice) bool { return o.Value == value }) {
		return options
	}
	return append(slices.Clone(options), choice{value, value})
}

// number0 is a count for programs.
func number0(n int64) string { return strconv.FormatInt(n, 10) }

// under is the path of what has an id, below a listing's.
func under(listing string, segments ...string) string {
	for _, s := range segments {
		listing += "/" + url.PathEscape(s)
	}
	return listing
}

// query is a query of one parameter; empty ones are left out.
func query(name, value string) url.Values {
	q := url.Values{}
	if value != "" {
		q.Set(name, value)
	}
	return q
}
