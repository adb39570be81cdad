package paid

import (
	"testing"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func TestOnlyWithEvidenceIsASubmissionInDoubtSentAgain(t *testing.T) {
	at := func(minutes int) time.Time { return noon.Add(time.Duration(minutes) * time.Minute) }
	reached := func(minutes ...int) (all []liwanag.Reach) {
		for i := 0; i < len(minutes); i += 2 {
			all = append(all, liwanag.Reach{Since: at(minutes[i]), Until: at(minutes[i+1])})
		}
		return all
	}
	for name, tc := range map[string]struct {
		change func(*Doubtful)
		want   string
	}{
		"all evidence":               {func(*Doubtful) {}, ""},
		"never proven":               {func(d *Doubtful) { d.Evidence.ProvenAt = time.Time{} }, CauseUnproven},
		"never proven, one machine":  {func(d *Doubtful) { d.Evidence.ProvenAt, d.Local = time.Time{}, true }, ""},
		"no probe":                   {func(d *Doubtful) { d.Evidence.Reaches = nil }, CauseUnreachable},
		"2xx with a taken id":        {func(d *Doubtful) { d.Submission.Cause = CauseIDTaken }, CauseIDTaken},
		"2xx without id":             {func(d *Doubtful) { d.Submission.Cause = CauseNoID }, CauseNoID},
		"policy":                     {func(d *Doubtful) { d.Hold = true }, CausePolicy},
		"it is the resubmission":     {func(d *Doubtful) { d.Again = true }, CauseTwice},
		"a gap of a minute":          {func(d *Doubtful) { d.Evidence.Reaches = reached(1, 59) }, ""},
		"a longer gap in the middle": {func(d *Doubtful) { d.Evidence.Reaches = reached(0, 30, 32, 60) }, CauseUnreachable},
		"a longer gap at the end":    {func(d *Doubtful) { d.Evidence.Reaches = reached(0, 58) }, CauseUnreachable},
		"a longer gap at the start":  {func(d *Doubtful) { d.Evidence.Reaches = reached(2, 60) }, CauseUnreachable},
	} {
		d := Doubtful{Submission: liwanag.Submission{State: ambiguous, Cause: CauseNoAnswer, SendingAt: noon, GraceUntil: at(60)},
			Evidence: liwanag.Evidence{ProvenAt: at(-24 * 60), Reaches: reached(-60, 60)}}
		tc.change(&d)
		if got := Judge(d); got != tc.want {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
}
