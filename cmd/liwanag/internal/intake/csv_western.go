package intake

import (
	"slices"
	"strings"
	"unicode"

	"github.com/wlynxg/chardet"
)

// alphabets are the letters beside a to z of languages with Latin letters: a word
// has those of one language.
var alphabets = []string{"éèêëàâçîïôöûùüœæÿ", "äöüß", "áéíóúñüç", "áàâãçéêíóôõúü", "àèéìíîòóùú", "åäöæøéü", "áéíóúýþæöð", "áćčéëíïóöü",
	"áčďéěíňóřšťúůýž", "áäčďéíĺľňóôŕšťúýž", "ąćęłńóśźż", "áéíóöőúüű", "ăâîșțşţ", "čćđšž", "çğıİöşüâîû", "āčēģīķļņšūž", "ąčęėįšųūž",
	"õäöüšž", "ĉĝĥĵŝŭ", "àèéíïòóúüç", "åäöéàü"}

// detectWestern finds by its words which encoding of one byte a letter a text is
// in: Windows-1252 unless its words tell otherwise. doubts is nil when it is clear; clean
// says that every word could be one.
func detectWestern(text []byte) (name string, clean bool, doubts []string) {
	type reading struct {
		names []string
		text  string
		bad   int
	}
	var readings []reading
	for _, e := range western {
		decoded, err := e.enc.NewDecoder().String(string(text))
		if err != nil {
			continue
		}
		if i := slices.IndexFunc(readings, func(r reading) bool { return r.text == decoded }); i >= 0 {
			readings[i].names = append(readings[i].names, e.name)
			continue
		}
		readings = append(readings, reading{[]string{e.name}, decoded, oddness(decoded)})
	}
	slices.SortStableFunc(readings, func(a, b reading) int { return a.bad - b.bad })
	best := readings[0]
	var near []string // what reads as well, or nearly
	for _, r := range readings {
		if r.bad < best.bad+2 {
			near = append(near, r.names[0])
		}
	}
	latin := slices.IndexFunc(readings, func(r reading) bool { return slices.Contains(r.names, latinName) })
	switch {
	case best.bad == 0 && readings[latin].bad == 0:
		hinted := hintedBy(string(text))
		i := slices.IndexFunc(readings, func(r reading) bool { return slices.Contains(r.names, hinted) })
		if i >= 0 && i != latin && readings[i].bad == 0 {
			return latinName, true, []string{hinted, latinName}
		}
		return latinName, true, nil
	case best.bad*4 > letters(best.text): // no words of any language
		return near[0], false, near
	case len(near) == 1:
		return best.names[0], best.bad == 0, nil
	}
	if strings.Count(best.text, "") > enoughLetters {
		shown, _, _ := EncodingNamed(chardet.Detect(text).Charset)
		for _, r := range readings {
			if r.bad == best.bad && slices.Contains(r.names, shown) && shown != latinName && letters(r.text) >= enoughLetters {
				return shown, best.bad == 0, nil
			}
		}
	}
	return near[0], best.bad == 0, near
}

// hintedBy is the encoding that the countries of addresses make likely.
func hintedBy(text string) string {
	hints := map[string]string{"cz": "windows-1250", "sk": "windows-1250", "pl": "windows-1250", "hu": "windows-1250", "ro": "windows-1250",
		"si": "windows-1250", "hr": "windows-1250", "tr": "windows-1254", "lt": "windows-1257", "lv": "windows-1257"}
	counts := map[string]int{}
	best := ""
	// #nosec G115 -- ASCII
	for word := range strings.FieldsFuncSeq(text, func(r rune) bool { return r != '.' && r != '@' && (r > 0x7f || !isLetter(byte(r))) }) {
		if at := strings.LastIndexByte(word, '@'); at < 0 {
			continue
		}
		if name := hints[strings.ToLower(word[strings.LastIndexByte(word, '.')+1:])]; name != "" {
			if counts[name]++; counts[name] > counts[best] {
				best = name
			}
		}
	}
	return best
}

func letters(text string) (n int) {
	for _, r := range text {
		if r > 0x7f && unicode.IsLetter(r) {
			n++
		}
	}
	return n
}

// oddness counts what words of no language have: marks inside of them, capital
// letters behind small ones, letters of several alphabets.
func oddness(text string) (bad int) {
	runes := []rune(text)
	inWord := func(i int) bool {
		return i >= 0 && i < len(runes) && (unicode.IsLetter(runes[i]) || unicode.IsMark(runes[i]))
	}
	for i := 0; i < len(runes); i++ {
		r := runes[i]
		if !inWord(i) {
			if r > 0x7f && oddMark(r, inWord(i-1), inWord(i+1)) || r == unicode.ReplacementChar || r >= 0x80 && r < 0xa0 {
				bad += 2
			}
			continue
		}
		end := i
		for inWord(end) {
			end++
		}
		bad += oddWord(runes[i:end])
		i = end - 1
	}
	return bad
}

// oddMark says whether a mark beside letters is not where people put it.
func oddMark(r rune, behindLetter, beforeLetter bool) bool {
	switch r {
	case '’', '·', '\u00ad', '\u200b', '\u00a0', '–', '—', '…', '/':
		return false
	case '“', '„', '«', '‹', '‘', '‚', '¿', '¡':
		return behindLetter
	case '”', '»', '›', '®', '™', 'ª', 'º':
		return beforeLetter
	}
	return behindLetter || beforeLetter
}

func oddWord(word []rune) (bad int) {
	ascii, small, vowels := 0, false, 0
	foreign := map[*unicode.RangeTable]bool{}
	var accents []rune
	for _, r := range word {
		if unicode.IsUpper(r) && small {
			bad++
		}
		small = unicode.IsLower(r)
		if r < 0x80 {
			ascii++
			continue
		}
		for _, script := range []*unicode.RangeTable{unicode.Latin, unicode.Cyrillic, unicode.Greek, unicode.Hebrew,
			unicode.Arabic, unicode.Thai} {
			if unicode.Is(script, r) {
				foreign[script] = true
			}
		}
		low := unicode.ToLower(r)
		if low < 0x80 {
			low = r // İ
		}
		accents = append(accents, low)
		if strings.ContainsRune("аеёиоуыэюяіїєαεηιουωάέήίόύώ", low) {
			vowels++
		}
		if unicode.Is(unicode.Cyrillic, r) && !strings.ContainsRune("абвгдежзийклмнопрстуфхцчшщъыьэюяёіїєґў", low) {
			bad++
		}
	}
	switch {
	case len(accents) == 0:
		return 0
	case foreign[unicode.Latin]:
		if !slices.ContainsFunc(alphabets, func(alphabet string) bool {
			return !slices.ContainsFunc(accents, func(r rune) bool { return !strings.ContainsRune(alphabet, r) })
		}) {
			bad += 2
		}
		if ascii == 0 && len(word) > 3 { // accents alone
			bad += len(word) - 3
		}
	case ascii > 0:
		bad += 2
	case (foreign[unicode.Cyrillic] || foreign[unicode.Greek]) && vowels == 0 && len(word) > 2:
		bad += 2
	}
	if len(foreign) > 1 {
		bad += 2
	}
	return bad
}
