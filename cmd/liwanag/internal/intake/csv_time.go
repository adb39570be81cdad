package intake

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// slashOrder says how a column writes dates such as 05/03/2026, as its other dates
// tell.
type slashOrder int

const (
	orderUnknown slashOrder = iota
	dayFirst
	monthFirst
)

var (
	clockPart = regexp.MustCompile(`(\d{1,2})[:h](\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?\s*([ap]\.?\s?m\.?)?\s*(z|utc|gmt)?\s*([+-]\d{2}(?::?\d{2})?)?$|` +
		`(\d{1,2}):(\d{2}):(\d{2})( )`)
	yearFirstDate = regexp.MustCompile(`^(\d{4})[-/.] ?(\d{1,2})[-/.] ?(\d{1,2})\.?$`)
	dottedDate    = regexp.MustCompile(`^(\d{1,2})\. ?(\d{1,2})\. ?(\d{4})\.?$`)
	shortDate     = regexp.MustCompile(`^(\d{1,2})/(\d{1,2})/(\d{2})$`)
	basicTime     = regexp.MustCompile(`^\d{8}t\d{4,6}z?$`)
	halfBefore    = regexp.MustCompile(`(오전|上午|午前|오후|下午|午後) ?(\d{1,2}:\d{2}(?::\d{2})?)`)
	zoneName      = regexp.MustCompile(`([+-]\d{2}:?\d{2}) \([\p{L} .]+\)$`)
	slashedDate   = regexp.MustCompile(`^(\d{1,2})[-/](\d{1,2})[-/](\d{4})$`)
	dayWordDate   = regexp.MustCompile(`^(\d{1,2})(?:st|nd|rd|th|er|º|\.)?[ -](?:de |of )?(\p{L}+)\.?,?[ -](?:de |del )?(\d{4}|\d{2})(?: г\.?)?$`)
	wordDayDate   = regexp.MustCompile(`^(\p{L}+)\.? (\d{1,2})(?:st|nd|rd|th)?,? (\d{4})$`)
	weekday       = regexp.MustCompile(`^(?:mon|tue|wed|thu|fri|sat|sun|mo|di|mi|do|fr|sa|so|lun|mar|mer|jeu|ven|sam|dim|mié|jue|vie|sáb|dom)\p{L}*\.?,? `)
	spaces        = regexp.MustCompile(`\s+`)
)

// months begin with these letters, in English, German, French, Spanish, Italian,
// Portuguese, Dutch, the Nordic languages, Polish, Turkish and Russian; the longest that fits tells.
var months = []struct {
	begin string
	month time.Month
}{{"jan", 1}, {"jän", 1}, {"ene", 1}, {"gen", 1}, {"feb", 2}, {"fév", 2}, {"fev", 2}, {"mar", 3}, {"mär", 3}, {"maa", 3}, {"mrz", 3},
	{"mrt", 3}, {"apr", 4}, {"avr", 4}, {"abr", 4}, {"may", 5}, {"mai", 5}, {"mei", 5}, {"mag", 5}, {"jun", 6}, {"juin", 6}, {"giu", 6},
	{"jul", 7}, {"juil", 7}, {"lug", 7}, {"aug", 8}, {"aoû", 8}, {"aou", 8}, {"ago", 8}, {"sep", 9}, {"set", 9}, {"oct", 10}, {"okt", 10},
	{"ott", 10}, {"out", 10}, {"nov", 11}, {"dec", 12}, {"déc", 12}, {"dez", 12}, {"dic", 12}, {"maj", 5}, {"des", 12},
	{"sty", 1}, {"lut", 2}, {"kwi", 4}, {"cze", 6}, {"lip", 7}, {"sie", 8}, {"wrz", 9}, {"paź", 10}, {"lis", 11}, {"gru", 12},
	{"oca", 1}, {"şub", 2}, {"nis", 4}, {"haz", 6}, {"tem", 7}, {"ağu", 8}, {"eyl", 9}, {"eki", 10}, {"kas", 11}, {"ara", 12},
	{"янв", 1}, {"фев", 2}, {"мар", 3}, {"апр", 4}, {"май", 5}, {"мая", 5}, {"июн", 6}, {"июл", 7}, {"авг", 8}, {"сен", 9}, {"окт", 10},
	{"ноя", 11}, {"дек", 12}}

func monthNamed(word string) (month time.Month) {
	longest := 0
	for _, m := range months {
		if strings.HasPrefix(word, m.begin) && len(m.begin) > longest {
			month, longest = m.month, len(m.begin)
		}
	}
	return month
}

// parseTime reads a time in every way that has one meaning; one without a zone is
// taken for UTC. 05/03/2026 has one only beside others in its column.
func parseTime(cell string, order slashOrder) (time.Time, bool) {
	if t, err := time.Parse(time.RFC3339, cell); err == nil {
		return t, true
	}
	if t, ok := digitsTime(cell); ok {
		return t, true
	}
	text := strings.ToLower(strings.TrimSpace(cell))
	if basicTime.MatchString(text) {
		t, err := time.Parse("20060102t150405"[:min(len(strings.TrimSuffix(text, "z")), 15)], strings.TrimSuffix(text, "z"))
		return t, err == nil && t.Year() >= 1970 && t.Year() < 2200
	}
	text = zoneName.ReplaceAllString(halfBefore.ReplaceAllStringFunc(text, halfBehind), "$1")
	text = strings.NewReplacer("年", "-", "月", "-", "日", " ", "년", "-", "월", "-", "일", " ", "時", ":", "分", "", "(utc)", "utc", "uhr", "",
		" at ", " ", " um ", " ", " à ", " ", " a las ", " ").Replace(text)
	text = strings.ReplaceAll(spaces.ReplaceAllString(text, " "), "- ", "-")
	clock, zone := time.Duration(0), time.UTC
	if at := clockPart.FindStringSubmatchIndex(text); at != nil {
		var ok bool
		if clock, zone, ok = clockOf(clockPart.FindStringSubmatch(text)); !ok {
			return time.Time{}, false
		}
		text = strings.TrimRight(text[:at[0]], " t,") + " " + text[at[1]:]
	}
	text = strings.Trim(text, " ,")
	year, month, day, ok := dateOf(text, order)
	if !ok { // mar is March, and a Tuesday
		year, month, day, ok = dateOf(strings.Trim(weekday.ReplaceAllString(text, ""), " ,"), order)
	}
	if !ok {
		return time.Time{}, false
	}
	t := time.Date(year, month, day, 0, 0, 0, 0, zone)
	return t.Add(clock), t.Month() == month && t.Day() == day && year >= 1970 && year < 2200
}

// digitsTime reads seconds or milliseconds since 1970, and dates without marks.
func digitsTime(cell string) (time.Time, bool) {
	if whole, fraction, ok := strings.Cut(cell, "."); ok && len(whole) == 10 && len(fraction) <= 9 {
		seconds, noTime := strconv.ParseInt(whole, 10, 64)
		nanos, noFraction := strconv.ParseInt((fraction + "000000000")[:9], 10, 64)
		t := time.Unix(seconds, nanos).UTC()
		return t, noTime == nil && noFraction == nil && seconds > 0 && nanos >= 0
	}
	n, err := strconv.ParseInt(cell, 10, 64)
	if err != nil || n <= 0 {
		return time.Time{}, false
	}
	switch len(cell) {
	case 8, 14:
		t, err := time.Parse("20060102150405"[:len(cell)], cell)
		return t, err == nil && t.Year() >= 1970 && t.Year() < 2200
	case 10:
		return time.Unix(n, 0).UTC(), true
	case 13:
		return time.UnixMilli(n).UTC(), true
	}
	return time.Time{}, false
}

// halfBehind writes the half of the day behind the clock, as in English.
func halfBehind(clock string) string {
	m := halfBefore.FindStringSubmatch(clock)
	if slices.Contains([]string{"오전", "上午", "午前"}, m[1]) {
		return m[2] + " am"
	}
	return m[2] + " pm"
}

func clockOf(m []string) (clock time.Duration, zone *time.Location, ok bool) {
	if m[1] == "" { // in the middle, as in Tue Mar 5 09:12:33 2026
		m = []string{"", m[8], m[9], m[10], "", "", "", ""}
	}
	hour, _ := strconv.Atoi(m[1])
	minute, _ := strconv.Atoi(m[2])
	second, _ := strconv.Atoi(m[3])
	if m[5] != "" {
		if hour < 1 || hour > 12 {
			return 0, nil, false
		}
		if hour %= 12; m[5][0] == 'p' {
			hour += 12
		}
	}
	fraction, _ := strconv.Atoi((m[4] + "000000000")[:9])
	zone = time.UTC
	if m[7] != "" {
		t, err := time.Parse("-0700", (strings.ReplaceAll(m[7], ":", "") + "00")[:5])
		if err != nil {
			return 0, nil, false
		}
		zone = t.Location()
	}
	clock = time.Duration(hour)*time.Hour + time.Duration(minute)*time.Minute + time.Duration(second)*time.Second + time.Duration(fraction)
	return clock, zone, hour < 24 && minute < 60 && second < 60
}

func dateOf(text string, order slashOrder) (year int, month time.Month, day int, ok bool) {
	number := func(s string) int { n, _ := strconv.Atoi(s); return n }
	if m := yearFirstDate.FindStringSubmatch(text); m != nil {
		return number(m[1]), time.Month(number(m[2])), number(m[3]), true
	}
	if m := dottedDate.FindStringSubmatch(text); m != nil {
		return number(m[3]), time.Month(number(m[2])), number(m[1]), true
	}
	if m := slashedDate.FindStringSubmatch(text); m != nil {
		a, b := number(m[1]), number(m[2])
		switch {
		case a > 12 || a == b || b <= 12 && order == dayFirst:
			return number(m[3]), time.Month(b), a, true
		case b > 12 || order == monthFirst:
			return number(m[3]), time.Month(a), b, true
		}
		return 0, 0, 0, false
	}
	if m := shortDate.FindStringSubmatch(text); m != nil { // the year is last where the day is in the middle
		a, b := number(m[1]), number(m[2])
		return 2000 + number(m[3]), time.Month(a), b, a <= 12 && (b > 12 || order == monthFirst)
	}
	if m := dayWordDate.FindStringSubmatch(text); m != nil {
		month = monthNamed(m[2])
		if year = number(m[3]); len(m[3]) == 2 {
			year += 2000
		}
		return year, month, number(m[1]), month > 0
	}
	if m := wordDayDate.FindStringSubmatch(text); m != nil {
		month = monthNamed(m[1])
		return number(m[3]), month, number(m[2]), month > 0
	}
	return 0, 0, 0, false
}

// orderOf finds how a column writes its dates: by one that can be read in one way
// only, unless others say otherwise.
func orderOf(cells []string) (order slashOrder) {
	for _, cell := range cells {
		date, _, _ := strings.Cut(strings.TrimSpace(cell), " ")
		date = strings.TrimRight(date, ",")
		m := slashedDate.FindStringSubmatch(date)
		if m == nil {
			m = shortDate.FindStringSubmatch(date)
		}
		if m == nil {
			continue
		}
		a, _ := strconv.Atoi(m[1])
		b, _ := strconv.Atoi(m[2])
		says := orderUnknown
		switch {
		case a > 12 && b <= 12: // of a short one that may be the year
			says = dayFirst
		case b > 12 && a <= 12:
			says = monthFirst
		default:
			continue
		}
		if order != orderUnknown && order != says {
			return orderUnknown
		}
		order = says
	}
	return order
}
