package fullenrich

import (
	"fmt"
	"regexp"
	"strconv"
	"time"
)

// YearMonth is as much of a date as FullEnrich can be trusted with.
type YearMonth struct {
	Year  int
	Month time.Month // 0 when unknown
}

// String gives "2021-02", "2021" without a month, "" without a year.
func (y YearMonth) String() string {
	switch {
	case y.Year == 0:
		return ""
	case y.Month == 0:
		return strconv.Itoa(y.Year)
	}
	return fmt.Sprintf("%04d-%02d", y.Year, int(y.Month))
}

var dateForm = regexp.MustCompile(`^\s*(\d{4})(?:[-/](\d{1,2}))?(?:\D|$)`)

// ParseYearMonth reads the beginning of a date and ignores the rest, because
// FullEnrich's dates can be malformed ("2024-1-0T00:00:00.000Z" is January
// 2024). It reports false unless there is a year between 1900 and 2199; a month
// that does not exist is left unknown.
func ParseYearMonth(date string) (YearMonth, bool) {
	match := dateForm.FindStringSubmatch(date)
	if match == nil {
		return YearMonth{}, false
	}
	year, _ := strconv.Atoi(match[1])
	if year < 1900 || year > 2199 {
		return YearMonth{}, false
	}
	month, _ := strconv.Atoi(match[2])
	if month > 12 {
		month = 0
	}
	return YearMonth{Year: year, Month: time.Month(month)}, true
}
