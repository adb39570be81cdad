package enrichment

import (
	"cmp"
	"strconv"
	"strings"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/fullenrich"
)

// Notes of deliveries that are not simply settled.
const (
	noteForeignRecord     = "foreign_record"     // a record of a job or person that was not asked for
	noteBadRecord         = "bad_record"         // a record that cannot be read
	noteUnreadable        = "unreadable"         // not a result at all
	noteUnsupported       = "unsupported_shape"  // a result of another API version
	noteOtherEnrichment   = "other_enrichment"   // its submission has another enrichment id
	noteForeignEnrichment = "foreign_enrichment" // it is the result of another submission
	noteUnplaced          = "unplaced"           // none of its jobs is open here
)

// settlement is what a result makes of the jobs of a submission: plain data, so
// that the decision is pure and the writing is mechanical.
type settlement struct {
	results     []liwanag.JobResult
	profiles    []liwanag.Enriched
	returned    []liwanag.ID // pending again, without a batch, until there are credits
	retry       []liwanag.ID // failed before; a new job when there are credits
	news        []liwanag.Announcement
	credits     int64  // the submission's new total
	spent       int64  // what this result adds to it
	unconfirmed int64  // of that, for lookups that nobody confirmed
	duplicates  int    // jobs that were paid for a second time
	note        string // why the raw body is kept; empty: it is dropped
	summary     Settlement
	noCredits   bool
	answers     map[string]string // how lookups ended, by source: as liwanag.FoundRate
	late        int               // jobs that a late result changed
}

// settle decides. The first result of a job wins; a later one only adds its cost,
// unless it found a person that the first did not: data that was paid for is
// applied whenever it comes. A bad record fails its own job, a foreign record
// touches none. It is idempotent: settling the same result again changes nothing.
func settle(sub liwanag.Submission, jobs []liwanag.Job, res fullenrich.Result, late bool, now time.Time) settlement {
	records, foreign, note := match(sub, jobs, res)
	out := settlement{note: note, answers: map[string]string{}, noCredits: res.Status == fullenrich.StatusCreditsInsufficient}
	shares := out.price(sub, jobs, records, foreign, res)
	for _, job := range jobs {
		record, present := records[job.ID]
		result := liwanag.JobResult{ID: job.ID, Status: job.Status, Failure: job.Failure, EnrichmentID: job.EnrichmentID,
			Credits: job.Credits + shares[job.ID], Late: job.Late, At: cmpTime(job.EndedAt, now)}
		if !job.Confirmed {
			out.unconfirmed += shares[job.ID]
		}
		if shares[job.ID] > 0 && job.Status == liwanag.JobEnriched && job.EnrichmentID != res.ID {
			out.duplicates++
		}
		why, gone := left(job)
		switch found := present && record.Err == nil && record.Profile.Found(); {
		case gone && job.Status.Open():
			became(&result, liwanag.JobCanceled, why, res.ID, late, now)
		case gone: // nothing is kept of who left, whatever was paid for
		case found && job.Status != liwanag.JobEnriched:
			became(&result, liwanag.JobEnriched, liwanag.JobFailure{}, res.ID, late, now)
			out.profiles = append(out.profiles, liwanag.Enriched{SubscriberID: job.SubscriberID, Found: findingOf(record.Profile),
				Profile: record.Raw, ResultAt: sub.SendingAt, At: now})
		case found || job.Status == liwanag.JobEnriched || job.Status == liwanag.JobNotFound:
		case present && record.Err != nil:
			became(&result, liwanag.JobFailed,
				liwanag.JobFailure{Code: liwanag.CodeBadRecord, Message: "FullEnrich's record cannot be read; the raw body is kept"}, res.ID, late, now)
		case present && res.Status == fullenrich.StatusFinished:
			became(&result, liwanag.JobNotFound, liwanag.JobFailure{}, res.ID, late, now)
		default:
			out.missing(sub, &result, res, late, now)
		}
		out.count(result.Status)
		if result != resultOf(job, now) {
			out.results = append(out.results, result)
			if late && result.Status != job.Status {
				out.late++
			}
			if answer, ok := answerOf(result.Status); ok && result.Status != job.Status {
				out.answers[job.Source] += answer
			}
			if a, news := announcementOf(job, result.Status, result.Failure, now); news && result.Status != job.Status {
				out.news = append(out.news, a)
			}
		}
	}
	out.summary.Credits = out.credits
	return out
}

// answerOf is what the end of a lookup says of its source.
func answerOf(s liwanag.JobStatus) (string, bool) {
	switch s {
	case liwanag.JobEnriched:
		return answerFound, true
	case liwanag.JobNotFound:
		return answerNobody, true
	}
	return "", false
}

func became(r *liwanag.JobResult, status liwanag.JobStatus, failure liwanag.JobFailure, enrichmentID string, late bool, now time.Time) {
	r.Status, r.Failure, r.EnrichmentID, r.Late, r.At = status, failure, enrichmentID, late, now
}

func cmpTime(at, or time.Time) time.Time {
	if at.IsZero() {
		return or
	}
	return at
}

// resultOf is a job as a result that changes nothing.
func resultOf(job liwanag.Job, now time.Time) liwanag.JobResult {
	return liwanag.JobResult{ID: job.ID, Status: job.Status, Failure: job.Failure, EnrichmentID: job.EnrichmentID,
		Credits: job.Credits, Late: job.Late, At: cmpTime(job.EndedAt, now)}
}

func (s *settlement) count(status liwanag.JobStatus) {
	switch status {
	case liwanag.JobEnriched:
		s.summary.Enriched++
	case liwanag.JobNotFound:
		s.summary.NotFound++
	case liwanag.JobFailed, liwanag.JobCanceled:
		s.summary.Failed++
	case liwanag.JobPending:
		s.summary.Returned++
	}
}

// missing decides on a job that a final result says nothing of. Only the
// submission that the job is open in can end it so.
func (s *settlement) missing(sub liwanag.Submission, result *liwanag.JobResult, res fullenrich.Result, late bool, now time.Time) {
	waiting := (result.Status == liwanag.JobSubmitted || result.Status == liwanag.JobHeld) && (sub.State.Open() || sub.ID.IsZero())
	switch {
	case res.Status == fullenrich.StatusCreditsInsufficient && waiting:
		result.Status, result.Failure, result.At = liwanag.JobPending, liwanag.JobFailure{}, time.Time{}
		s.returned = append(s.returned, result.ID)
	case res.Status == fullenrich.StatusCreditsInsufficient && result.Failure.Code == liwanag.CodeWebhookTimeout:
		s.retry = append(s.retry, result.ID)
	case res.Status == fullenrich.StatusCanceled && waiting:
		became(result, liwanag.JobFailed,
			liwanag.JobFailure{Code: liwanag.CodeProviderCanceled, Message: "the enrichment was canceled at FullEnrich"}, res.ID, late, now)
	case waiting:
		became(result, liwanag.JobFailed,
			liwanag.JobFailure{Code: liwanag.CodeMissingRecord, Message: "FullEnrich's result does not name this address"}, res.ID, late, now)
	}
}

// price spreads what a result adds to the submission's cost over the people it
// found, since FullEnrich names a total only: 1 each when it charges 1 for each.
// Without a total, each found person counts 1. What a total names beyond the people
// found is of the records that cannot be read, and then of those that are nobody's
// here, whose share no job has.
func (s *settlement) price(sub liwanag.Submission, jobs []liwanag.Job, records map[liwanag.ID]fullenrich.Record, foreign int64,
	res fullenrich.Result) map[liwanag.ID]int64 {
	var found, unread []liwanag.ID
	for _, job := range jobs {
		switch r, ok := records[job.ID]; {
		case ok && r.Err != nil:
			unread = append(unread, job.ID)
		case ok && r.Profile.Found():
			found = append(found, job.ID)
		}
	}
	total := int64(len(found))
	if res.Cost.Known && res.Cost.Credits >= 0 {
		total = res.Cost.Credits
	}
	s.credits = max(total, sub.Credits)
	s.spent = s.credits - sub.Credits
	extra := max(s.spent-int64(len(found)), 0)
	sharers := append(found, unread[:min(extra, int64(len(unread)))]...)
	heads := int64(len(sharers)) + min(max(extra-int64(len(unread)), 0), foreign)
	shares := map[liwanag.ID]int64{}
	for i, id := range sharers {
		shares[id] = s.spent / heads
		if int64(i) < s.spent%heads {
			shares[id]++
		}
	}
	return shares
}

// roster finds the job that a record is of: by the ids that FullEnrich echoes, else
// by address, never by position.
type roster struct{ byText, byEmail map[string]liwanag.Job }

func rosterOf(jobs []liwanag.Job) roster {
	r := roster{map[string]liwanag.Job{}, map[string]liwanag.Job{}}
	for _, job := range jobs {
		r.byText[job.ID.String()] = job
		if job.EmailKey != "" {
			r.byEmail[job.EmailKey] = job
		}
	}
	return r
}

// owner is false for a record of a job that is not listed, or whose address is
// another one than its job's.
func (r roster) owner(record fullenrich.Record) (liwanag.Job, bool) {
	job, ok := r.byText[record.Custom[customJob]]
	if record.Custom[customJob] == "" {
		job, ok = r.byEmail[emailKey(record.Input.Email)]
	}
	return job, ok && (record.Input.Email == "" || job.EmailKey == "" || emailKey(record.Input.Email) == job.EmailKey)
}

// match finds the record of each job. A record whose ids or address are not of
// this submission is foreign and belongs to no job; foreign is how many of these may
// have cost something.
func match(sub liwanag.Submission, jobs []liwanag.Job, res fullenrich.Result) (records map[liwanag.ID]fullenrich.Record,
	foreign int64, note string) {
	listed, records := rosterOf(jobs), map[liwanag.ID]fullenrich.Record{}
	for _, r := range res.Data {
		job, ok := listed.owner(r)
		if owner := r.Custom[customSubmission]; !ok || owner != "" && !sub.ID.IsZero() && owner != sub.ID.String() {
			note = noteForeignRecord
			if r.Err != nil || r.Profile.Found() {
				foreign++
			}
			continue
		}
		if r.Err != nil {
			note = cmp.Or(note, noteBadRecord)
		}
		if _, again := records[job.ID]; !again {
			records[job.ID] = r
		}
	}
	return records, foreign, note
}

// findingOf is what is kept of a profile beside all of it.
func findingOf(p *fullenrich.Profile) liwanag.Finding {
	current := p.Employment.Current
	place := p.Location.City
	for _, part := range []string{p.Location.Region, p.Location.Country} {
		if part != "" && place != "" {
			place += ", "
		}
		place += part
	}
	return liwanag.Finding{
		FirstName: p.FirstName, LastName: p.LastName, Headline: p.Headline,
		FullName: cmp.Or(p.FullName, strings.TrimSpace(p.FirstName+" "+p.LastName)),
		JobTitle: current.Title, Seniority: current.Seniority, LinkedinURL: p.SocialProfiles.ProfessionalNetwork.URL, Location: place,
		Country:     p.Location.Country,
		CompanyName: current.Company.Name, CompanyDomain: current.Company.Domain,
		CompanyLinkedinURL: current.Company.SocialProfiles.ProfessionalNetwork.URL,
		Headcount:          current.Company.Headcount, Industry: current.Company.Industry.MainIndustry,
	}
}

// emailKey normalizes an address as intake did; one that is no address is
// compared as quoted text, so that it equals no key.
func emailKey(address string) string {
	parsed, err := liwanag.ParseEmail(address)
	if err != nil {
		return strconv.Quote(address)
	}
	return parsed.Key
}
