package intake

import (
	"cmp"
	"html"
	"net/url"
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

// addressCell gives the address a cell holds, without what programs and people
// put around it, and the name before or behind it. A cell that holds something
// else comes back as it is.
func addressCell(cell string) (address, name string) {
	whole := strings.Trim(cell, typographic)
	if _, err := liwanag.ParseEmail(whole); err == nil {
		return strings.TrimSpace(whole), ""
	}
	text := visible(whole)
	if strings.ContainsRune(text, '＠') || strings.ContainsRune(text, '．') {
		text = norm.NFKC.String(text)
	}
	if label, rest, ok := strings.Cut(text, ":"); ok {
		if field, _, known := aliasOf(headerKey(label)); known && field == FieldEmail && strings.Contains(rest, "@") {
			text = rest
		}
	}
	bare := text
	if before, rest, ok := strings.Cut(text, "<"); ok {
		if inside, behind, closed := strings.Cut(rest, ">"); closed && strings.Trim(behind, around) == "" {
			bare, name = inside, before
		}
	} else if before, rest, ok := strings.Cut(text, "("); ok && strings.HasSuffix(strings.TrimSpace(rest), ")") {
		bare, name = before, strings.TrimSuffix(strings.TrimSpace(rest), ")")
	}
	bare = strings.Trim(bare, around)
	if len(bare) > len(mailto) && strings.EqualFold(bare[:len(mailto)], mailto) {
		bare = strings.Trim(bare[len(mailto):], around)
		if plain, err := url.PathUnescape(bare); err == nil {
			bare = plain
		}
	}
	if at := strings.IndexByte(bare, '@'); at >= 0 { // mailto:ann@x.com?subject=hi
		domain, _, _ := strings.Cut(bare[at:], "?")
		bare = bare[:at] + domain
	}
	if _, err := liwanag.ParseEmail(bare); err != nil {
		return cell, ""
	}
	return bare, strings.Trim(name, around)
}

// visible is a text without the characters that steer how others are shown.
func visible(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Cf, r) {
			return -1
		}
		return r
	}, text)
}

// addressWithin finds the only address in a text, such as a link or one with a remark
// behind it. Words between which there is but a space may be one address, so that is
// none, as is what stands in a URL.
func addressWithin(text string) (address string, ok bool) {
	if text = html.UnescapeString(visible(text)); strings.Contains(text, "://") {
		return "", false
	}
	isPart := func(also string) func(rune) bool {
		return func(r rune) bool {
			return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune(also, r)
		}
	}
	for from := 0; ; {
		at := strings.IndexByte(text[from:], '@')
		if at < 0 {
			return address, address != ""
		}
		at += from
		before, behind := text[:at], text[at+1:]
		local := strings.Trim(before[len(before)-len(lastPart(before, isPart("._%+-'#$&*!^~"))):], "'.")
		end := strings.IndexFunc(behind, isPart(".-"))
		if end < 0 {
			end = len(behind)
		}
		domain := strings.TrimRight(behind[:end], ".-")
		left := before[:strings.LastIndex(before, local)]
		one, err := liwanag.ParseEmail(local + "@" + domain)
		if err != nil || joins(left, behind[end:]) || address != "" && !strings.EqualFold(address, one.Address) {
			return "", false
		}
		address, from = cmp.Or(address, one.Address), at+1+end
	}
}

// lastPart is what stands behind the last character that ends a part.
func lastPart(text string, ends func(rune) bool) string {
	i := strings.LastIndexFunc(text, ends)
	if i < 0 {
		return text
	}
	_, size := utf8.DecodeRuneInString(text[i:])
	return text[i+size:]
}

// joins says whether what stands around an address may belong to it.
func joins(left, right string) bool {
	word, _ := utf8.DecodeLastRuneInString(strings.TrimRightFunc(left, unicode.IsSpace))
	next, _ := utf8.DecodeRuneInString(strings.TrimLeftFunc(right, unicode.IsSpace))
	return unicode.IsLetter(word) || unicode.IsDigit(word) || next == '.' || next == '@' || strings.HasPrefix(right, "_")
}

// builtin are the domains of providers.
var builtin = sync.OnceValue(liwanag.BuiltinDomains)

// readAddress is bestAddress for a column that is known to hold addresses.
func readAddress(cell string) (address, name string, others []string) {
	address, name, others = bestAddress(cell)
	if _, err := liwanag.ParseEmail(address); err != nil {
		if one, ok := addressWithin(cell); ok {
			return one, "", []string{cell}
		}
	}
	return address, name, others
}

// bestAddress gives of a cell with one or several addresses the one to use: the
// first personal one, else the first. The others come back as they are.
func bestAddress(cell string) (address, name string, others []string) {
	address, name = addressCell(cell)
	if _, err := liwanag.ParseEmail(address); err == nil || strings.Count(cell, "@") < 2 {
		return address, name, nil
	}
	best := -1
	var found []string
	for _, part := range strings.FieldsFunc(strings.ReplaceAll(cell, ":::", ","), func(r rune) bool {
		return strings.ContainsRune(",;|/\n\r\t 、，；", r)
	}) {
		part, _ := addressCell(part)
		email, err := liwanag.ParseEmail(part)
		if err != nil {
			continue
		}
		if best < 0 && builtin().Classify(email.Domain) == liwanag.Personal {
			best = len(found)
		}
		found = append(found, part)
	}
	if len(found) == 0 {
		return address, name, nil
	}
	best = max(best, 0)
	return found[best], "", append(slices.Clone(found[:best]), found[best+1:]...)
}

const (
	mailto = "mailto:"
	// around is what stands beside an address and is no part of one.
	around = " \t\r\n\u00a0\u3000\"'`<>()[].,;:" + typographic
	// typographic quotes would pass for letters.
	typographic = "‘’‚“”„«»‹›"
)
