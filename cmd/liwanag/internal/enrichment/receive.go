package enrichment

import (
	"context"
	"crypto/sha256"
	"errors"
	"slices"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/fullenrich"
)

// The answers of Receive besides success and a store that fails.
var (
	// ErrNoKey: there is no key that could verify anything; the sender repeats.
	ErrNoKey = liwanag.NewError(liwanag.Unavailable, "secret_missing",
		"no FullEnrich key is configured, so no webhook can be verified: set FULLENRICH_API_KEY")
	// ErrSignature: the signature is missing or of no key of ours; nothing is
	// stored.
	ErrSignature = liwanag.NewError(liwanag.Unauthorized, "bad_signature", "the webhook's signature is missing or wrong")
	// ErrUnknownToken: no submission has this token, or it expired. A result that is signed all
	// the same is kept as unmatched.
	ErrUnknownToken = liwanag.NewError(liwanag.NotFound, "unknown_token", "no submission has this webhook address")
)

// Knows says whether a token is a submission's, before the body that came under it
// is read. ErrNoKey, or those of the store.
func (s *Service) Knows(ctx context.Context, token string) (bool, error) {
	if !s.hasKey() {
		s.cfg.Meter.Refused("no_key")
		return false, ErrNoKey
	}
	_, err := s.byToken(ctx, sha256.Sum256([]byte(token)))
	if errors.Is(err, liwanag.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// tokensLast is how long the address that FullEnrich was given takes results under its
// submission, from the last time that it was sent. FullEnrich keeps them as long.
const tokensLast = 90 * 24 * time.Hour

// byToken is the submission of a token that has not expired. ErrNotFound.
func (s *Service) byToken(ctx context.Context, hash liwanag.Digest) (liwanag.Submission, error) {
	sub, err := s.store.Submissions.ByToken(ctx, hash)
	given := sub.PreparedAt
	if sub.SendingAt.After(given) {
		given = sub.SendingAt
	}
	if err == nil && s.now().Sub(given) > tokensLast {
		return liwanag.Submission{}, liwanag.ErrNotFound
	}
	return sub, err
}

// keys are those that verify now.
func (s *Service) keys() []fullenrich.Secret {
	if s.now().Before(s.cfg.PreviousUntil) {
		return append(slices.Clone(s.cfg.Keys), s.cfg.PreviousKey)
	}
	return s.cfg.Keys
}

func (s *Service) hasKey() bool {
	return slices.ContainsFunc(s.keys(), func(k fullenrich.Secret) bool { return k != "" })
}

// Receive takes a webhook of FullEnrich in: body as it came, token from its path,
// signature from its header, contact for the route of single contacts. When it
// returns nil the body is durable (or was before) and 200 may be answered; the
// rest happens later. A contact's webhook only teaches the enrichment id, and is
// not kept. Errors: ErrNoKey, ErrSignature, ErrUnknownToken, or those of the store.
func (s *Service) Receive(ctx context.Context, token string, contact bool, signature string, raw []byte) error {
	if !s.hasKey() {
		s.cfg.Meter.Refused("no_key")
		return ErrNoKey
	}
	if !fullenrich.Verify(raw, signature, s.keys()...) {
		s.cfg.Meter.Refused("bad_signature")
		return ErrSignature
	}
	if isTrial(raw) {
		return nil
	}
	hash := liwanag.Digest(sha256.Sum256([]byte(token)))
	sub, err := s.byToken(ctx, hash)
	switch {
	case errors.Is(err, liwanag.ErrNotFound):
		s.cfg.Meter.Refused("unknown_token")
		if contact {
			return ErrUnknownToken
		}
		if err := s.keep(ctx, liwanag.Delivery{TokenHash: hash, Raw: raw, State: liwanag.DeliveryUnmatched}); err != nil {
			return err
		}
		return ErrUnknownToken
	case err != nil:
		return err
	case contact:
		err = s.beacon(ctx, sub, raw)
	default:
		err = s.keep(ctx, liwanag.Delivery{TokenHash: hash, SubmissionID: sub.ID, Raw: raw, State: liwanag.DeliveryStored})
	}
	if err == nil {
		s.cfg.Meter.Accepted()
	}
	return err
}

// maxUnmatched is how many unmatched deliveries are kept, the newest ones.
const maxUnmatched = 1000

// keep stores a raw body before anything is applied of it. A repeat has the
// same digest and is not stored again; without a submission it is the body's alone,
// since whoever has one signed body can draw any number of tokens.
func (s *Service) keep(ctx context.Context, d liwanag.Delivery) error {
	d.Source, d.Size, d.ReceivedAt = liwanag.FromWebhook, len(d.Raw), s.now()
	matched := d.State == liwanag.DeliveryStored
	if d.Digest = sha256.Sum256(d.Raw); matched {
		d.Digest = deliveryDigest(d.TokenHash, d.Raw)
	}
	err := s.store.Write(ctx, func(tx *datastore.Tx) error {
		if matched {
			if err := tx.Ledger.Prove(s.cfg.PublicURL, d.ReceivedAt); err != nil {
				return err
			}
		}
		fresh, err := insertDelivery(tx, d)
		if err != nil || matched || !fresh {
			return err
		}
		_, err = tx.Deliveries.Prune(time.Time{}, time.Time{}, maxUnmatched)
		return err
	})
	if err == nil {
		ring(s.bells.deliveries)
	}
	return err
}

func deliveryDigest(token liwanag.Digest, raw []byte) liwanag.Digest {
	h := sha256.New()
	h.Write(token[:])
	h.Write(raw)
	return liwanag.Digest(h.Sum(nil))
}

// beacon learns the enrichment id from the first contact that is done, long
// before the batch ends: a submission in doubt is adopted. Later contacts find
// the id known and write nothing.
func (s *Service) beacon(ctx context.Context, sub liwanag.Submission, raw []byte) error {
	if sub.EnrichmentID != "" {
		return nil
	}
	res, err := fullenrich.ParseResult(raw)
	if err != nil && !errors.Is(err, fullenrich.ErrUnsupportedShape) || !fullenrich.ValidEnrichmentID(res.ID) || !isOf(sub, res) {
		return nil // authentic, but it teaches nothing: repeating it would not either
	}
	err = s.learn(ctx, sub, res.ID, byBeacon)
	if errors.Is(err, errOtherEnrichment) || errors.Is(err, liwanag.ErrState) {
		s.cfg.Log.WarnContext(ctx, "a contact's webhook names another enrichment than its submission has", "submission", sub.ID)
		return nil
	}
	return err
}

// isOf says whether a result is of the submission whose token it came with: the
// name and the ids that FullEnrich echoes must not all say otherwise. Otherwise a
// body that was sent to the wrong token would be adopted, and fail every job.
func isOf(sub liwanag.Submission, res fullenrich.Result) bool {
	if res.Name != "" && res.Name != sub.Name {
		return false
	}
	for _, r := range res.Data {
		if owner := r.Custom[customSubmission]; owner == "" || owner == sub.ID.String() {
			return true
		}
	}
	return len(res.Data) == 0
}

// byBeacon is how a contact's webhook counts among adoptions.
const byBeacon = "beacon"

// learn notes the enrichment id of a submission, and adopts one in doubt.
func (s *Service) learn(ctx context.Context, sub liwanag.Submission, enrichmentID, by string) error {
	now, before := s.now(), sub.State
	err := s.store.Write(ctx, func(tx *datastore.Tx) error {
		current, err := tx.Submissions.Get(sub.ID)
		if err != nil {
			return err
		}
		before = current.State
		switch {
		case current.EnrichmentID != "" && current.EnrichmentID != enrichmentID:
			return errOtherEnrichment
		case current.EnrichmentID == enrichmentID && current.State == liwanag.SubmissionAccepted:
			return nil
		case by == string(liwanag.FromWebhook) || by == byBeacon:
			if err := tx.Ledger.Prove(s.cfg.PublicURL, now); err != nil {
				return err
			}
		}
		if current.EnrichmentID == "" {
			if err := noteAdopted(tx, current.ID, enrichmentID, now); err != nil {
				return err
			}
		}
		return accept(tx, current, enrichmentID, now)
	})
	if err != nil {
		return err
	}
	if before == liwanag.SubmissionAmbiguous || before == liwanag.SubmissionHeld {
		s.cfg.Meter.Adopted(by)
		s.cfg.Log.InfoContext(ctx, "a submission in doubt was adopted", "submission", sub.ID, "by", by, "after", now.Sub(sub.SendingAt))
	}
	if before == liwanag.SubmissionSuperseded || before == liwanag.SubmissionRefused || sub.Detached {
		return s.followAt(ctx, sub.ID, now.Add(s.cfg.FetchSchedule[0])) // it was paid for: nobody else fetches it
	}
	return nil
}

// errOtherEnrichment: the submission has another enrichment id.
var errOtherEnrichment = errors.New("enrichment: the submission has another enrichment id")
