package intake

import (
	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/enrichment"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

// within enrolls no more than the cap of an upload allows.
func (u *Uploads) within(tx *datastore.Tx, up liwanag.Upload) (Enroller, error) {
	if up.Cap == nil {
		return u.starter.enroller, nil
	}
	made, err := tx.Jobs.CountOf(up.ID)
	return &capped{u.starter.enroller, int(max(*up.Cap-made, 0)), u.cfg}, err
}

// capped enrolls the first of the people. The jobs of the others are canceled as they
// are made, so that it is seen why nobody looks them up.
type capped struct {
	Enroller
	room int
	cfg  Config
}

// Enroll makes jobs, in the caller's transaction.
func (c *capped) Enroll(tx *datastore.Tx, people []enrichment.Enrollment) (opened []liwanag.Opened, err error) {
	n := min(c.room, len(people))
	if n > 0 {
		if opened, err = c.Enroller.Enroll(tx, people[:n]); err != nil {
			return nil, err
		}
	}
	c.room -= n
	now, jobs := c.cfg.now(), make([]liwanag.Job, len(people)-n)
	for i, p := range people[n:] {
		jobs[i] = liwanag.Job{ID: liwanag.NewID(liwanag.JobKind), SubscriberID: p.SubscriberID, UploadID: p.UploadID,
			Status: liwanag.JobCanceled, Confirmed: p.Confirmed, CreatedAt: now, EndedAt: now,
			Failure: liwanag.JobFailure{Code: liwanag.CodeCap, Message: "whoever confirmed the upload allowed no more lookups"}}
	}
	rest, err := tx.Jobs.Insert(jobs)
	return append(opened, rest...), err
}
