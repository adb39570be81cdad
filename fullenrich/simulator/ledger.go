package simulator

import (
	"encoding/json"
	"time"
)

// Ledger is the truth about what was accepted and paid: the oracle of "never
// paid twice". Times are of Config.Now.
type Ledger struct {
	Submissions []Submission `json:"submissions"`
	// Jobs has one entry for each pair of custom.lw_job and address.
	Jobs []JobEntry `json:"jobs"`
	// Duplicates are the entries of Jobs that were accepted more than once.
	Duplicates []JobEntry     `json:"duplicates"`
	Calls      []CallMinute   `json:"calls"`
	Webhooks   []Webhook      `json:"webhooks"`
	Fired      map[Action]int `json:"fired"` // how often each fault took effect
	Balance    float64        `json:"balance"`
	Totals     Totals         `json:"totals"`
}

// Submission is an accepted POST.
type Submission struct {
	EnrichmentID string    `json:"enrichmentId"`
	Kind         string    `json:"kind"` // reverse or enrich
	Name         string    `json:"name"`
	At           time.Time `json:"at"`
	Ended        time.Time `json:"ended,omitzero"`
	Status       string    `json:"status"`
	Credits      int64     `json:"credits"`
	Records      []Record  `json:"records"`
}

// Record is a row of an accepted POST.
type Record struct {
	Email      string `json:"email"`
	Job        string `json:"job,omitempty"`        // custom.lw_job
	Submission string `json:"submission,omitempty"` // custom.lw_submission
	Status     string `json:"status"`               // pending, found, not_found, or dropped when the enrichment ended without it
	Credits    int64  `json:"credits"`
	Avoided    int64  `json:"avoided,omitempty"` // credits that deduplication took off
}

// JobEntry sums up what happened to a job's address.
type JobEntry struct {
	Job      string `json:"job"`
	Email    string `json:"email"`
	Accepted int    `json:"accepted"` // rows in accepted submissions
	Charged  int    `json:"charged"`  // of those, rows that cost something
	Credits  int64  `json:"credits"`
}

// CallMinute counts the API calls of a calendar minute (divided by Speed).
type CallMinute struct {
	Start time.Time `json:"start"`
	// Total is all calls, refused ones included.
	Total int `json:"total"`
	// Submits and Gets passed the key and the window; what is left of Total
	// after them, Limited and Unauthorized are account calls.
	Submits int `json:"submits"`
	Gets    int `json:"gets"`
	// Limited were refused by the call window, Unauthorized for their key.
	Limited      int `json:"limited"`
	Unauthorized int `json:"unauthorized"`
}

// Webhook is one event to be delivered, and its attempts.
type Webhook struct {
	EnrichmentID string           `json:"enrichmentId"`
	Kind         string           `json:"kind"`            // batch or contact
	Email        string           `json:"email,omitempty"` // contact
	URL          string           `json:"url"`
	State        string           `json:"state"` // waiting, delivered or lost
	Attempts     []WebhookAttempt `json:"attempts"`
}

// WebhookAttempt is one POST of a webhook: the status of the answer, or why there was none.
type WebhookAttempt struct {
	At     time.Time `json:"at"`
	Status int       `json:"status,omitempty"`
	Error  string    `json:"error,omitempty"`
}

// Totals are sums over the ledger.
type Totals struct {
	Submissions int   `json:"submissions"`
	Records     int   `json:"records"`
	Found       int   `json:"found"`
	NotFound    int   `json:"notFound"`
	Pending     int   `json:"pending"`
	Dropped     int   `json:"dropped"`
	Credits     int64 `json:"credits"`
	Avoided     int64 `json:"avoided"`
	// DuplicateCredits were charged for a job's address after its first charge.
	DuplicateCredits int64 `json:"duplicateCredits"`
	Calls            int   `json:"calls"`
	Attempts         int   `json:"attempts"` // POSTs of webhooks
}

// Ledger returns a copy of the ledger of this moment.
func (s *Server) Ledger() Ledger {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := Ledger{
		Submissions: []Submission{}, Jobs: []JobEntry{}, Duplicates: []JobEntry{}, Webhooks: []Webhook{},
		Calls: append([]CallMinute{}, s.st.calls...), Fired: map[Action]int{}, Balance: s.st.balance,
	}
	for action, n := range s.st.firedBy {
		l.Fired[action] = n
	}
	for _, e := range s.st.order {
		l.Submissions = append(l.Submissions, e.ledger())
	}
	for _, d := range s.st.deliveries {
		l.Webhooks = append(l.Webhooks, d.ledger())
	}
	l.sum()
	return l
}

func (e *enrichment) ledger() Submission {
	out := Submission{
		EnrichmentID: e.id, Kind: e.Kind, Name: e.Name, At: e.at, Ended: e.ended, Status: e.status, Credits: e.credits,
		Records: make([]Record, len(e.rows)),
	}
	for i := range e.rows {
		r := &e.rows[i]
		var custom struct {
			Job        string `json:"lw_job"`
			Submission string `json:"lw_submission"`
		}
		if r.Custom != nil {
			json.Unmarshal(r.Custom, &custom) // checked when it was accepted
		}
		status := "pending"
		switch {
		case r.outcome == outcomeFound:
			status = "found"
		case r.outcome == outcomeNotFound:
			status = "not_found"
		case e.over():
			status = "dropped"
		}
		out.Records[i] = Record{r.Email, custom.Job, custom.Submission, status, r.credits, r.avoided}
	}
	return out
}

func (d *delivery) ledger() Webhook {
	out := Webhook{EnrichmentID: d.e.id, Kind: "batch", URL: d.e.WebhookURL, State: d.state,
		Attempts: append([]WebhookAttempt{}, d.attempts...)}
	if d.row != batchRow {
		out.Kind, out.URL, out.Email = "contact", d.e.ContactURL, d.e.rows[d.row].Email
	}
	return out
}

func (l *Ledger) sum() {
	type pair struct{ job, email string }
	index := map[pair]int{}
	for _, sub := range l.Submissions {
		l.Totals.Submissions++
		for _, r := range sub.Records {
			l.Totals.add(r)
			key := pair{r.Job, r.Email}
			at, known := index[key]
			if !known {
				at = len(l.Jobs)
				index[key] = at
				l.Jobs = append(l.Jobs, JobEntry{Job: r.Job, Email: r.Email})
			}
			entry := &l.Jobs[at]
			entry.Accepted++
			entry.Credits += r.Credits
			if r.Credits > 0 {
				entry.Charged++
				if entry.Charged > 1 {
					l.Totals.DuplicateCredits += r.Credits
				}
			}
		}
	}
	for _, entry := range l.Jobs {
		if entry.Accepted > 1 {
			l.Duplicates = append(l.Duplicates, entry)
		}
	}
	for _, minute := range l.Calls {
		l.Totals.Calls += minute.Total
	}
	for _, hook := range l.Webhooks {
		l.Totals.Attempts += len(hook.Attempts)
	}
}

func (t *Totals) add(r Record) {
	t.Records++
	t.Credits += r.Credits
	t.Avoided += r.Avoided
	switch r.Status {
	case "found":
		t.Found++
	case "not_found":
		t.NotFound++
	case "dropped":
		t.Dropped++
	default:
		t.Pending++
	}
}
