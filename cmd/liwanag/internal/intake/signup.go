// Package intake is the door: sign-ups by API and webhook, and CSV uploads. It
// validates what comes, classifies addresses, stores subscribers, and asks for
// the enrichment of those that are new and personal.
package intake

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/enrichment"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

// Enroller asks for lookups; *enrichment.Service is the real one.
type Enroller interface {
	// Enroll makes jobs in the caller's transaction and answers in order.
	Enroll(tx *datastore.Tx, people []enrichment.Enrollment) ([]liwanag.Opened, error)
	// Start makes the runs exist, after the commit. It is idempotent, and a run
	// that it could not start is started later.
	Start(ctx context.Context, runIDs ...liwanag.ID) error
}

// Policy says whose sign-up is enriched.
type Policy string

// The values of LIWANAG_ENRICH.
const (
	EnrichPersonal Policy = "personal"
	EnrichAll      Policy = "all"
)

// Config is what intake can be told. The zero value works.
type Config struct {
	Domains *liwanag.Domains // nil: the built-in list
	Enrich  Policy           // empty: EnrichPersonal
	// Node names this process among those that share the database. Empty: a name
	// of its own, drawn at random. One that is alone on its database keeps its name
	// from one start to the next, and goes on at once with an import that it left.
	Node   string
	Now    func() time.Time // nil: time.Now
	Logger *slog.Logger     // nil: slog.Default()
	Meter  Meter            // nil: discards
}

// Meter counts; telemetry implements it.
type Meter interface {
	// ImportedRows counts the rows of an upload, once all of it is imported: new,
	// known, duplicate, corporate, unsubscribed or invalid.
	ImportedRows(result string, rows int64)
}

type noMeter struct{}

func (noMeter) ImportedRows(string, int64) {}

// Validate finds all faults.
func (c Config) Validate() error {
	if c.Enrich != "" && c.Enrich != EnrichPersonal && c.Enrich != EnrichAll {
		return fmt.Errorf("enrich is %q: use %s or %s", c.Enrich, EnrichPersonal, EnrichAll)
	}
	return nil
}

func (c Config) withDefaults() Config {
	if c.Domains == nil {
		c.Domains = liwanag.BuiltinDomains()
	}
	if c.Enrich == "" {
		c.Enrich = EnrichPersonal
	}
	if c.Node == "" {
		c.Node = uuid.NewString()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.Meter == nil {
		c.Meter = noMeter{}
	}
	return c
}

// now is the wall clock in the resolution of the database.
func (c Config) now() time.Time { return c.Now().UTC().Truncate(time.Microsecond) }

// wanted says whether a new subscriber of this type is enriched.
func (c Config) wanted(t liwanag.EmailType) bool {
	return t == liwanag.Personal || c.Enrich == EnrichAll && t == liwanag.Corporate
}

// SignUps takes sign-ups in. It is safe for concurrent use.
type SignUps struct {
	store      *datastore.Store
	starter    *starter
	cfg        Config
	forgotten  atomic.Int64 // when old webhook ids were last forgotten, Unix seconds
	normalizer normalizer
}

// NewSignUps returns the sign-up service, or the faults of cfg.
func NewSignUps(store *datastore.Store, enroller Enroller, cfg Config) (*SignUps, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("intake: %w", err)
	}
	cfg = cfg.withDefaults()
	return &SignUps{store: store, starter: newStarter(enroller, cfg.Logger), cfg: cfg, normalizer: normalizer{domains: cfg.Domains}}, nil
}

// lenient takes what somebody else's program sends.
func (s *SignUps) lenient() normalizer {
	return normalizer{domains: s.normalizer.domains, lenient: true}
}

// Status says what a sign-up did.
type Status string

// The statuses of a Result.
const (
	Created Status = "created"
	Updated Status = "updated"
	// Suppressed: the address is suppressed, and nothing of it is stored.
	Suppressed Status = "suppressed"
)

// Result answers one sign-up, as JSON in the form of the interface.
type Result struct {
	SubscriberID liwanag.ID `json:"subscriberId,omitzero"`
	Status       Status     `json:"status,omitempty"`
	// RunID is there if the person has an open job; the run exists then.
	RunID liwanag.ID `json:"runId,omitzero"`
	// Error is set when the element was refused, and then nothing else is.
	Error *Refusal `json:"error,omitempty"`
}

// Refusal says why one element was not taken.
type Refusal struct {
	Code    string         `json:"code"`
	Message string         `json:"message"`
	Errors  []RefusalField `json:"errors,omitempty"`
}

// RefusalField is the fault of one field.
type RefusalField struct {
	Field   string `json:"field"`
	Message string `json:"message"`
}

func refusal(err error) *Refusal {
	r := &Refusal{Code: liwanag.CodeOf(err), Message: err.Error()}
	var invalid *ValidationError
	if errors.As(err, &invalid) {
		for _, f := range invalid.Fields {
			r.Errors = append(r.Errors, RefusalField(f))
		}
	}
	return r
}

// maxRowsPerWrite keeps a transaction well below 10 ms.
const maxRowsPerWrite = 200

const (
	// webhookMemory is how long a webhook id is remembered: longer than any
	// sender repeats, and much longer than the signature's window.
	webhookMemory = 72 * time.Hour
	// forgetEvery with what one Forget drops is more than any sender brings.
	forgetEvery = time.Second
)

// Add stores sign-ups and answers in their order. A new subscriber whose
// address is personal (or any, by policy) gets a job, and its run exists when
// Add returns; a known one is updated and triggers nothing. Elements that are
// not valid are answered with a Refusal; the error is the database's.
func (s *SignUps) Add(ctx context.Context, items []Item) ([]Result, error) {
	return s.add(ctx, s.normalizer, items, nil)
}

// Receive is Add for a webhook whose signature was verified: the same id of the
// same endpoint again is answered as the first time and changes nothing. Only the
// address can be at fault, as with Check.
func (s *SignUps) Receive(ctx context.Context, endpoint string, proof Proof, items []Item) ([]Result, error) {
	results, err := s.add(ctx, s.lenient(), items, func(tx *datastore.Tx, results []Result) error {
		return s.remember(tx, endpoint, proof.ID, results)
	})
	var repeat *repeatError
	if errors.As(err, &repeat) {
		return repeat.earlier, nil
	}
	return results, err
}

// repeatError rolls a repeated webhook back.
type repeatError struct{ earlier []Result }

func (*repeatError) Error() string { return "intake: the webhook was taken in before" }

func (s *SignUps) remember(tx *datastore.Tx, endpoint, id string, results []Result) error {
	answer, err := json.Marshal(results)
	if err != nil {
		return fmt.Errorf("intake: answer of a webhook: %w", err)
	}
	stored, earlier, err := tx.Webhooks.Remember(endpoint, id, answer, s.cfg.now())
	if err != nil {
		return err
	}
	if !stored {
		repeat := &repeatError{}
		if err := json.Unmarshal(earlier, &repeat.earlier); err != nil {
			return fmt.Errorf("intake: stored answer of a webhook: %w", err)
		}
		return repeat
	}
	return s.forget(tx)
}

// forget drops old webhook ids now and then, a few at a time.
func (s *SignUps) forget(tx *datastore.Tx) error {
	now, last := s.cfg.now(), s.forgotten.Load()
	if now.Unix()-last < int64(forgetEvery/time.Second) || !s.forgotten.CompareAndSwap(last, now.Unix()) {
		return nil
	}
	_, err := tx.Webhooks.Forget(now.Add(-webhookMemory))
	return err
}

// add stores the valid items: in few transactions, or with last in one that last
// ends, so that either all of it is there afterwards or nothing.
func (s *SignUps) add(ctx context.Context, by normalizer, items []Item, last func(*datastore.Tx, []Result) error) ([]Result, error) {
	results := make([]Result, len(items))
	var rows []liwanag.SignUp
	var places []int // where the answer of a row belongs
	for i, item := range items {
		row, err := by.normalize(item.SignUp)
		if item.Err != nil {
			err = item.Err
		}
		if err != nil {
			results[i].Error = refusal(err)
			continue
		}
		rows, places = append(rows, row), append(places, i)
	}
	atOnce := maxRowsPerWrite
	if last != nil {
		atOnce = max(atOnce, len(rows))
	}
	for begin := 0; begin == 0 || begin < len(rows); begin += atOnce {
		end := min(begin+atOnce, len(rows))
		err := s.store.Write(ctx, func(tx *datastore.Tx) error {
			answers, err := s.write(tx, rows[begin:end])
			if err != nil {
				return err
			}
			for i, a := range answers {
				results[places[begin+i]] = a
			}
			if end == len(rows) && last != nil {
				return last(tx, results)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	s.Start(ctx, results)
	return results, nil
}

// write stores sign-ups in one transaction and asks for the lookups.
func (s *SignUps) write(tx *datastore.Tx, rows []liwanag.SignUp) ([]Result, error) {
	if len(rows) == 0 {
		return nil, nil
	}
	kept, suppressed, err := admitted(tx, rows, func(r liwanag.SignUp) string { return r.EmailKey })
	if err != nil || len(kept) == 0 {
		return withSuppressed(nil, suppressed), err
	}
	stored, enrolled, err := store(tx, s.starter.enroller, s.cfg, kept, liwanag.ID{})
	if err != nil {
		return nil, err
	}
	results, err := answers(tx, stored, enrolled)
	return withSuppressed(results, suppressed), err
}

// admitted are those that are not suppressed; suppressed tells of each whether it is. It is asked
// where a sign-up is stored, in the same transaction, whatever way it came.
func admitted[T any](tx *datastore.Tx, all []T, key func(T) string) (kept []T, suppressed []bool, err error) {
	keys := make([]string, len(all))
	for i, one := range all {
		keys[i] = key(one)
	}
	found, err := tx.Suppressions.Of(keys)
	suppressed = make([]bool, len(all))
	for i, one := range all {
		if suppressed[i] = found.Has(keys[i]); !suppressed[i] {
			kept = append(kept, one)
		}
	}
	return kept, suppressed, err
}

// withSuppressed answers for those too of whom nothing was stored.
func withSuppressed(results []Result, suppressed []bool) []Result {
	all := make([]Result, 0, len(suppressed))
	for _, is := range suppressed {
		if is {
			all = append(all, Result{Status: Suppressed})
		} else if len(results) > 0 {
			all, results = append(all, results[0]), results[1:]
		}
	}
	return all
}

// answers says what became of rows that were stored.
func answers(tx *datastore.Tx, stored []liwanag.SignedUp, enrolled enrollments) ([]Result, error) {
	ids := make([]liwanag.ID, len(stored))
	for i, row := range stored {
		ids[i] = row.ID
	}
	runs := map[liwanag.ID]liwanag.ID{} // of people with an open job
	for i, person := range enrolled.people {
		runs[person.SubscriberID] = enrolled.opened[i].RunID
	}
	if len(enrolled.people) < len(stored) {
		shared, err := tx.Jobs.OpenOfMailboxes(ids)
		if err != nil {
			return nil, err
		}
		for id, job := range shared {
			runs[id] = job.RunID
		}
		open, err := tx.Jobs.OpenOf(ids)
		if err != nil {
			return nil, err
		}
		for _, job := range open {
			runs[job.SubscriberID] = job.RunID
		}
	}
	results := make([]Result, len(stored))
	for i, row := range stored {
		results[i] = Result{SubscriberID: row.ID, Status: Updated, RunID: runs[row.ID]}
		if row.Created {
			results[i].Status = Created
		}
	}
	return results, nil
}

// enrollments are the lookups that a transaction asked for.
type enrollments struct {
	people []enrichment.Enrollment
	opened []liwanag.Opened
}

// store upserts rows and enrolls those that are new and wanted; who left is marked. A file says of
// nobody that they came back: of a sign-up by itself the time does.
func store(tx *datastore.Tx, enroller Enroller, cfg Config, rows []liwanag.SignUp,
	upload liwanag.ID) ([]liwanag.SignedUp, enrollments, error) {
	stored, err := upsert(tx, cfg, rows)
	if err != nil {
		return nil, enrollments{}, err
	}
	var again map[liwanag.ID]bool
	if upload.IsZero() {
		people := make([]Arrival, len(rows))
		for i, row := range rows {
			people[i] = Arrival{Row: row, Subscribed: !row.Left, At: row.SignedUpAt}
		}
		if _, again, err = returning(tx, stored, people, cfg.now()); err != nil {
			return nil, enrollments{}, err
		}
	}
	var e enrollments
	for i, row := range stored {
		if !rows[i].Left && (row.Created && !row.Left || again[row.ID]) && cfg.wanted(rows[i].EmailType) {
			e.people = append(e.people, enrichment.Enrollment{SubscriberID: row.ID, UploadID: upload, Confirmed: !upload.IsZero()})
		}
	}
	if err := e.open(tx, enroller); err != nil {
		return nil, enrollments{}, err
	}
	return stored, e, leave(tx, stored, rows, cmp.Or(upload.String(), liwanag.ByWebhook), cfg.now())
}

// leave marks those whose sender says that they unsubscribed. Only of people who were here before it
// is told.
func leave(tx *datastore.Tx, stored []liwanag.SignedUp, rows []liwanag.SignUp, by string, now time.Time) error {
	left, fresh := map[time.Time][]liwanag.ID{}, []liwanag.ID(nil)
	for i, row := range stored {
		if !rows[i].Left {
			continue
		}
		at := rows[i].LeftAt
		if at.IsZero() || at.After(now) {
			at = now
		}
		at = at.UTC().Truncate(time.Microsecond)
		left[at] = append(left[at], row.ID)
		if row.Created {
			fresh = append(fresh, row.ID)
		}
	}
	for at, ids := range left {
		if _, err := enrichment.Suppress(tx, liwanag.Departure{IDs: ids, At: at, By: by}, fresh...); err != nil {
			return err
		}
	}
	return nil
}

// upsert gives rows their IDs and time.
func upsert(tx *datastore.Tx, cfg Config, rows []liwanag.SignUp) ([]liwanag.SignedUp, error) {
	rows = slices.Clone(rows)
	now := cfg.now()
	for i := range rows {
		rows[i].ID, rows[i].At = liwanag.NewID(liwanag.SubscriberKind), now
	}
	return tx.Subscribers.Upsert(rows)
}

// open is the one place where a sign-up becomes a job.
func (e *enrollments) open(tx *datastore.Tx, enroller Enroller) (err error) {
	if len(e.people) > 0 {
		e.opened, err = enroller.Enroll(tx, e.people)
	}
	return err
}

// starter makes runs exist, each once: most sign-ups join a batch whose run this
// process has started already.
type starter struct {
	enroller Enroller
	log      *slog.Logger
	mu       sync.Mutex
	started  map[liwanag.ID]bool
}

// maxStarted bounds what a starter remembers; it only saves repeated starts.
const maxStarted = 1000

func newStarter(enroller Enroller, log *slog.Logger) *starter {
	return &starter{enroller: enroller, log: log, started: map[liwanag.ID]bool{}}
}

// start starts those runs that it has not started before. A failure costs
// nothing but time: the enrichment's sweep starts them later.
func (s *starter) start(ctx context.Context, runs []liwanag.ID) {
	slices.SortFunc(runs, liwanag.ID.Compare)
	runs = slices.Compact(runs)
	s.mu.Lock()
	runs = slices.DeleteFunc(runs, func(id liwanag.ID) bool { return id.IsZero() || s.started[id] })
	s.mu.Unlock()
	if len(runs) == 0 {
		return
	}
	if err := s.enroller.Start(ctx, runs...); err != nil {
		if ctx.Err() != nil {
			return // stopped in the middle, which is no fault
		}
		s.log.WarnContext(ctx, "runs of new sign-ups will start later", "runs", len(runs), "error", err)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.started) > maxStarted {
		clear(s.started)
	}
	for _, id := range runs {
		s.started[id] = true
	}
}
