package enrichment

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/fullenrich"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func jobNamed(email string, status liwanag.JobStatus) liwanag.Job {
	return liwanag.Job{ID: liwanag.NewID(liwanag.JobKind), SubscriberID: liwanag.NewID(liwanag.SubscriberKind),
		Status: status, Email: email, EmailKey: email}
}

func acceptedSubmission() liwanag.Submission {
	return liwanag.Submission{ID: liwanag.NewID(liwanag.SubmissionKind), State: liwanag.SubmissionAccepted, SendingAt: noon.Add(-time.Hour)}
}

// recordFor is FullEnrich's record of a job; name empty: nobody was found.
func recordFor(sub liwanag.Submission, job liwanag.Job, name string) fullenrich.Record {
	r := fullenrich.Record{Input: fullenrich.Input{Email: job.Email}, Raw: json.RawMessage(`{}`),
		Custom: map[string]string{customJob: job.ID.String(), customSubmission: sub.ID.String()}}
	if name != "" {
		r.Profile = &fullenrich.Profile{FullName: name}
	}
	return r
}

const enrichmentA, enrichmentB = "0c9d6c1e-5a55-4a0e-9b2f-0d6f7d0f9a11", "1c9d6c1e-5a55-4a0e-9b2f-0d6f7d0f9a22"

func finished(credits int64, records ...fullenrich.Record) fullenrich.Result {
	return fullenrich.Result{ID: enrichmentA, Status: fullenrich.StatusFinished,
		Cost: fullenrich.Cost{Credits: credits, Known: true}, Data: records}
}

// after is what a settlement makes of the jobs.
func after(jobs []liwanag.Job, s settlement) []liwanag.Job {
	out := append([]liwanag.Job(nil), jobs...)
	for i := range out {
		for _, r := range s.results {
			if r.ID == out[i].ID {
				out[i].Status, out[i].Failure, out[i].Credits = r.Status, r.Failure, r.Credits
				out[i].EnrichmentID, out[i].Late, out[i].EndedAt = r.EnrichmentID, r.Late, r.At
			}
		}
	}
	return out
}

func TestSettleDecidesEachJobByItsOwnRecord(t *testing.T) {
	ana, ben, cid := jobNamed("ana@example.net", liwanag.JobSubmitted), jobNamed("ben@example.net", liwanag.JobSubmitted),
		jobNamed("cid@example.net", liwanag.JobSubmitted)
	jobs := []liwanag.Job{ana, ben, cid}
	sub := acceptedSubmission()
	bad := recordFor(sub, ben, "")
	bad.Err = fullenrich.ErrBadRecord
	foreign := recordFor(sub, jobNamed("eve@example.net", liwanag.JobSubmitted), "Eve")
	swapped := recordFor(sub, cid, "Eve")
	swapped.Input.Email = "eve@example.net"
	otherOwner := recordFor(acceptedSubmission(), cid, "Cid")
	upper := recordFor(sub, cid, "Cid")
	upper.Custom, upper.Input.Email = nil, "CID@Example.NET"
	canceled := finished(1, recordFor(sub, ana, "Ana"), recordFor(sub, ben, ""))
	canceled.Status = fullenrich.StatusCanceled
	poor := canceled
	poor.Status = fullenrich.StatusCreditsInsufficient

	type want struct {
		status [3]liwanag.JobStatus
		codes  [3]string
		note   string
	}
	for name, tc := range map[string]struct {
		res  fullenrich.Result
		want want
	}{
		"found, not found, missing": {finished(1, recordFor(sub, ana, "Ana"), recordFor(sub, ben, "")),
			want{[3]liwanag.JobStatus{"enriched", "not_found", "failed"}, [3]string{"", "", liwanag.CodeMissingRecord}, ""}},
		"a bad record fails its own job": {finished(2, recordFor(sub, ana, "Ana"), bad, recordFor(sub, cid, "Cid")),
			want{[3]liwanag.JobStatus{"enriched", "failed", "enriched"}, [3]string{"", liwanag.CodeBadRecord, ""}, noteBadRecord}},
		"a foreign job touches nobody": {finished(1, foreign, recordFor(sub, ana, "Ana"), recordFor(sub, ben, ""), recordFor(sub, cid, "")),
			want{[3]liwanag.JobStatus{"enriched", "not_found", "not_found"}, [3]string{}, noteForeignRecord}},
		"another person's address under our job": {finished(1, swapped, recordFor(sub, ana, "Ana"), recordFor(sub, ben, "")),
			want{[3]liwanag.JobStatus{"enriched", "not_found", "failed"}, [3]string{"", "", liwanag.CodeMissingRecord}, noteForeignRecord}},
		"another submission's record": {finished(1, otherOwner, recordFor(sub, ana, "Ana"), recordFor(sub, ben, "")),
			want{[3]liwanag.JobStatus{"enriched", "not_found", "failed"}, [3]string{"", "", liwanag.CodeMissingRecord}, noteForeignRecord}},
		"without ids the address decides": {finished(1, upper, recordFor(sub, ana, ""), recordFor(sub, ben, "")),
			want{[3]liwanag.JobStatus{"not_found", "not_found", "enriched"}, [3]string{}, ""}},
		"canceled: the rest fails": {canceled,
			want{[3]liwanag.JobStatus{"enriched", "failed", "failed"},
				[3]string{"", liwanag.CodeProviderCanceled, liwanag.CodeProviderCanceled}, ""}},
		"credits ran out: the rest is pending": {poor,
			want{[3]liwanag.JobStatus{"enriched", "pending", "pending"}, [3]string{}, ""}},
	} {
		t.Run(name, func(t *testing.T) {
			s := settle(sub, jobs, tc.res, false, noon)
			got := want{note: s.note}
			for i, j := range after(jobs, s) {
				got.status[i], got.codes[i] = j.Status, j.Failure.Code
			}
			if diff := cmp.Diff(tc.want, got, cmp.AllowUnexported(want{})); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestARecordThatCannotBeReadCostsNoNeighbour(t *testing.T) {
	jobs := []liwanag.Job{jobNamed("ana@example.net", liwanag.JobSubmitted), jobNamed("ben@example.net", liwanag.JobSubmitted),
		jobNamed("cid@example.net", liwanag.JobSubmitted), jobNamed("dan@example.net", liwanag.JobSubmitted)}
	sub := acceptedSubmission()
	ana, ben := recordFor(sub, jobs[0], "Ana"), recordFor(sub, jobs[1], "Ben")
	bad, worse := recordFor(sub, jobs[2], ""), recordFor(sub, jobs[3], "")
	bad.Err, worse.Err = fullenrich.ErrBadRecord, fullenrich.ErrBadRecord
	foreign := recordFor(sub, jobNamed("eve@example.net", liwanag.JobSubmitted), "Eve")
	for name, tc := range map[string]struct {
		res  fullenrich.Result
		want [4]int64
	}{
		"it was charged":                      {finished(3, ana, ben, bad), [4]int64{1, 1, 1, 0}},
		"it was not":                          {finished(2, ana, ben, bad), [4]int64{1, 1, 0, 0}},
		"one of two was":                      {finished(3, ana, ben, bad, worse), [4]int64{1, 1, 1, 0}},
		"both were":                           {finished(4, ana, ben, bad, worse), [4]int64{1, 1, 1, 1}},
		"nobody else":                         {finished(1, bad), [4]int64{0, 0, 1, 0}},
		"a foreign one costs nobody here":     {finished(3, ana, ben, foreign), [4]int64{1, 1, 0, 0}},
		"nor a foreign one beside it":         {finished(4, ana, ben, bad, foreign), [4]int64{1, 1, 1, 0}},
		"more a person is spread over people": {finished(6, ana, ben, bad), [4]int64{2, 2, 2, 0}},
	} {
		var got [4]int64
		s := settle(sub, jobs, tc.res, false, noon)
		for i, j := range after(jobs, s) {
			got[i] = j.Credits
		}
		if got != tc.want || s.spent != tc.res.Cost.Credits {
			t.Errorf("%s: %v of %d, want %v of %d", name, got, s.spent, tc.want, tc.res.Cost.Credits)
		}
	}
}

func TestALaterResultOnlyAddsItsCost(t *testing.T) {
	job := jobNamed("ana@example.net", liwanag.JobSubmitted)
	first := acceptedSubmission()
	jobs := after([]liwanag.Job{job}, settle(first, []liwanag.Job{job}, finished(1, recordFor(first, job, "Ana")), false, noon))

	second := acceptedSubmission()
	res := finished(1, recordFor(second, job, "Someone Else"))
	res.ID = enrichmentB
	s := settle(second, jobs, res, true, noon.Add(time.Hour))
	if len(s.profiles) != 0 || s.duplicates != 1 || s.credits != 1 {
		t.Errorf("profiles %d, duplicates %d, credits %d", len(s.profiles), s.duplicates, s.credits)
	}
	got := after(jobs, s)[0]
	if got.Credits != 2 || got.EnrichmentID != enrichmentA || got.Status != liwanag.JobEnriched || got.Late {
		t.Errorf("job %+v", got)
	}
	// The same result once more, as a fetch after the webhook, is free.
	second.State, second.Credits = liwanag.SubmissionSettled, s.credits
	if again := settle(second, after(jobs, s), res, true, noon); again.duplicates != 0 || again.spent != 0 || len(again.results) != 0 {
		t.Errorf("repeat: %+v", again)
	}
}

func TestWhatWasPaidForIsAppliedInEveryStateOfTheJob(t *testing.T) {
	for _, status := range []liwanag.JobStatus{liwanag.JobPending, liwanag.JobSubmitted, liwanag.JobHeld,
		liwanag.JobFailed, liwanag.JobCanceled, liwanag.JobNotFound} {
		job, sub := jobNamed("ana@example.net", status), acceptedSubmission()
		s := settle(sub, []liwanag.Job{job}, finished(1, recordFor(sub, job, "Ana")), true, noon)
		if got := after([]liwanag.Job{job}, s)[0]; got.Status != liwanag.JobEnriched || !got.Late || len(s.profiles) != 1 || s.late != 1 {
			t.Errorf("%s: job %+v, profiles %d", status, got, len(s.profiles))
		}
	}
}

func TestAMissingRowOfAnEarlierSubmissionLeavesTheLaterOneAlone(t *testing.T) {
	job, old := jobNamed("ana@example.net", liwanag.JobSubmitted), acceptedSubmission()
	old.State = liwanag.SubmissionSuperseded
	for _, status := range []fullenrich.Status{fullenrich.StatusFinished, fullenrich.StatusCanceled, fullenrich.StatusCreditsInsufficient} {
		res := finished(0)
		res.Status = status
		if s := settle(old, []liwanag.Job{job}, res, false, noon); len(s.results) != 0 {
			t.Errorf("%s: %+v", status, s.results)
		}
	}
}

func TestAnErasedPersonsRecordIsDroppedAndPaid(t *testing.T) {
	job, sub := jobNamed("", liwanag.JobFailed), acceptedSubmission()
	record := recordFor(sub, job, "Ana")
	record.Input.Email = "ana@example.net"
	s := settle(sub, []liwanag.Job{job}, finished(1, record), true, noon)
	if len(s.profiles) != 0 || s.credits != 1 || after([]liwanag.Job{job}, s)[0].Credits != 1 {
		t.Errorf("%+v", s)
	}
}

// Whatever FullEnrich answers, in whatever order and however often: no job is
// lost, costs add up, an enriched job stays enriched, and repeating changes
// nothing.
func TestSettleProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		states := []liwanag.JobStatus{liwanag.JobPending, liwanag.JobSubmitted, liwanag.JobHeld, liwanag.JobEnriched,
			liwanag.JobNotFound, liwanag.JobFailed, liwanag.JobCanceled}
		jobs := make([]liwanag.Job, rapid.IntRange(1, 6).Draw(t, "jobs"))
		for i := range jobs {
			jobs[i] = jobNamed(fmt.Sprintf("p%d@example.net", i), rapid.SampledFrom(states).Draw(t, "status"))
		}
		sub := acceptedSubmission()
		sub.State = rapid.SampledFrom([]liwanag.SubmissionState{liwanag.SubmissionSending, liwanag.SubmissionAccepted,
			liwanag.SubmissionAmbiguous,
			liwanag.SubmissionHeld, liwanag.SubmissionRefused, liwanag.SubmissionSuperseded}).Draw(t, "state")
		res := drawResult(t, sub, jobs)
		late := rapid.Bool().Draw(t, "late")

		s := settle(sub, jobs, res, late, noon)
		got := after(jobs, s)
		var before, total, found int64
		for i := range jobs {
			before += jobs[i].Credits
			total += got[i].Credits
			if got[i].Status == "" {
				t.Fatalf("job %d has no state", i)
			}
			if jobs[i].Status == liwanag.JobEnriched && got[i].Status != liwanag.JobEnriched {
				t.Fatalf("job %d: enriched became %s", i, got[i].Status)
			}
			if !jobs[i].Status.Open() && got[i].Status.Open() {
				t.Fatalf("job %d: %s was opened again as %s", i, jobs[i].Status, got[i].Status)
			}
			if s := got[i].Credits - jobs[i].Credits; s > 0 {
				found++
			}
		}
		own := true // a foreign record's share is nobody's here
		for _, r := range res.Data {
			own = own && r.Custom[customJob] != "" && slices.ContainsFunc(jobs,
				func(j liwanag.Job) bool { return j.ID.String() == r.Custom[customJob] })
		}
		if total-before > s.spent || total-before != s.spent && found > 0 && own {
			t.Fatalf("jobs cost %d more, the submission %d", total-before, s.spent)
		}
		if s.spent < 0 || s.credits < sub.Credits {
			t.Fatalf("costs went down: %+v", s)
		}

		sub.State, sub.Credits = liwanag.SubmissionSettled, s.credits
		again := settle(sub, got, res, late, noon)
		if again.spent != 0 || again.duplicates != 0 || len(again.profiles) != 0 {
			t.Fatalf("repeating it: %+v", again)
		}
		for _, r := range again.results {
			t.Fatalf("repeating it changed %+v", r)
		}
	})
}

func drawResult(t *rapid.T, sub liwanag.Submission, jobs []liwanag.Job) fullenrich.Result {
	res := fullenrich.Result{ID: enrichmentA, Status: rapid.SampledFrom([]fullenrich.Status{fullenrich.StatusFinished,
		fullenrich.StatusCanceled, fullenrich.StatusCreditsInsufficient}).Draw(t, "result")}
	if rapid.Bool().Draw(t, "cost known") {
		res.Cost = fullenrich.Cost{Known: true, Credits: rapid.Int64Range(0, 9).Draw(t, "cost")}
	}
	for range rapid.IntRange(0, 8).Draw(t, "records") {
		job := rapid.SampledFrom(jobs).Draw(t, "job")
		r := recordFor(sub, job, rapid.SampledFrom([]string{"", "Found"}).Draw(t, "name"))
		switch rapid.IntRange(0, 5).Draw(t, "twist") {
		case 0:
			r.Custom = nil
		case 1:
			r.Err = fullenrich.ErrBadRecord
		case 2:
			r.Custom[customJob] = liwanag.NewID(liwanag.JobKind).String()
		}
		res.Data = append(res.Data, r)
	}
	return res
}

// Results of several submissions of the same people, in any order and repeated:
// the same people are enriched, and the same is paid.
func TestTheOrderOfResultsDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		jobs := make([]liwanag.Job, rapid.IntRange(1, 4).Draw(t, "jobs"))
		for i := range jobs {
			jobs[i] = jobNamed(fmt.Sprintf("p%d@example.net", i), liwanag.JobSubmitted)
		}
		subs := make([]liwanag.Submission, rapid.IntRange(1, 3).Draw(t, "submissions"))
		results := make([]fullenrich.Result, len(subs))
		order := []int{}
		for i := range subs {
			subs[i] = acceptedSubmission()
			var records []fullenrich.Record
			var cost int64
			for _, job := range jobs {
				name := rapid.SampledFrom([]string{"", "Found"}).Draw(t, "name")
				records = append(records, recordFor(subs[i], job, name))
				cost += int64(len(name) / len("Found"))
			}
			results[i] = finished(cost, records...)
			results[i].ID = fmt.Sprintf("0c9d6c1e-5a55-4a0e-9b2f-0d6f7d0f9a%02d", i)
			for range rapid.IntRange(1, 3).Draw(t, "copies") {
				order = append(order, i)
			}
		}
		play := func(order []int) (enriched []bool, credits int64) {
			now := append([]liwanag.Job(nil), jobs...)
			row := append([]liwanag.Submission(nil), subs...)
			for _, i := range order {
				s := settle(row[i], now, results[i], false, noon)
				now = after(now, s)
				row[i].State, row[i].Credits = liwanag.SubmissionSettled, s.credits
			}
			for _, j := range now {
				enriched = append(enriched, j.Status == liwanag.JobEnriched)
				credits += j.Credits
			}
			return enriched, credits
		}
		enriched, credits := play(order)
		shuffled, again := play(rapid.Permutation(order).Draw(t, "order"))
		if !cmp.Equal(enriched, shuffled) || credits != again {
			t.Fatalf("%v for %d credits in one order, %v for %d in another", enriched, credits, shuffled, again)
		}
	})
}

func TestNothingIsKeptOfWhoLeftInWhateverStateTheirJobIs(t *testing.T) {
	for _, status := range []liwanag.JobStatus{liwanag.JobPending, liwanag.JobSubmitted, liwanag.JobHeld,
		liwanag.JobFailed, liwanag.JobCanceled, liwanag.JobNotFound} {
		for _, email := range []string{"ana@example.net", ""} {
			job, sub := jobNamed(email, status), acceptedSubmission()
			job.Suppressed = email != ""
			s := settle(sub, []liwanag.Job{job}, finished(1, recordFor(sub, job, "Ana")), true, noon)
			got := after([]liwanag.Job{job}, s)[0]
			if len(s.profiles) != 0 || len(s.news) != 0 || got.Credits != 1 || got.Status.Open() || got.Status == liwanag.JobEnriched {
				t.Errorf("%q, %s: job %+v, %d profiles, %d news", email, status, got, len(s.profiles), len(s.news))
			}
		}
	}
}

func TestAnAddressIsNotFoundInsideOfAnother(t *testing.T) {
	ana := naming(formsOf("ana@example.net", "ana@example.net"))
	for text, want := range map[string]bool{
		`{"email":"ana@example.net"}`:        true,
		"email=ANA%40Example.net&x=1":        true,
		"write to ana@example.net.":          true,
		"joana@example.net, ana@example.net": true,
		`{"email":"joana@example.net"}`:      false,
		`{"email":"jo.ana@example.net"}`:     false,
		`{"email":"jo+ana@example.net"}`:     false,
		`{"email":"ana@example.net.ph"}`:     false,
		`{"email":"ana@example.network"}`:    false,
		`{"email":"ana@example.net-x.com"}`:  false,
		`{"text":"of\nana@example.net"}`:     true,
		`{"text":"of\u003dana@example.net"}`: true,
		"to%3Dana%40example.net%26":          true,
	} {
		if got := ana.MatchString(text); got != want {
			t.Errorf("%s: %t", text, got)
		}
	}
}
