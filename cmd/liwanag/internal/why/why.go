// Package why says in words why something stands where it stands: what it waits for,
// since when and until when, what would end that, and the act that frees it.
//
// [Reader] reads a state, and what is said of a state depends on it alone: [Run.Why],
// [Submission.Why], [Person.Why], [Upload.Why] and [Sink.Why] ask nobody.
package why

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
)

// story is an answer as it is told.
type story struct{ api.Why }

func tell() *story {
	return &story{api.Why{Facts: []api.WhyFact{}, Acts: []api.WhyAct{}}}
}

// sum says what it comes to. The first to say so is the summary; what is said after it
// is true as well, and a fact.
func (s *story) sum(since, until time.Time, format string, args ...any) {
	s.fact(since, until, format, args...)
	if s.Summary == "" {
		last := len(s.Facts) - 1
		said := s.Facts[last]
		s.Summary, s.Facts = said.What, slices.Insert(s.Facts[:last], 0, said)
	}
}

func (s *story) fact(since, until time.Time, format string, args ...any) {
	s.Facts = append(s.Facts, api.WhyFact{What: fmt.Sprintf(format, args...), Since: utc(since), Until: utc(until)})
}

// act names something that a person can do. Each is named once.
func (s *story) act(do, command string, args ...any) {
	command = fmt.Sprintf(command, args...)
	for _, a := range s.Acts {
		if a.Command == command {
			return
		}
	}
	s.Acts = append(s.Acts, api.WhyAct{Do: do, Command: command})
}

// include tells another story within this one; its summary is a fact already.
func (s *story) include(other *story) {
	if s.Summary == "" && other.Summary != "" {
		s.Summary, s.Facts = other.Summary, append(slices.Clone(other.Facts), s.Facts...)
	} else {
		s.Facts = append(s.Facts, other.Facts...)
	}
	for _, a := range other.Acts {
		s.act(a.Do, "%s", a.Command)
	}
}

func utc(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return t.UTC()
}

func people(n int) string { return count(n, "person", "people") }

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// quoted makes an argument of a shell of a text.
func quoted(text string) string {
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}

// Nothing to wait for.
var none time.Time
