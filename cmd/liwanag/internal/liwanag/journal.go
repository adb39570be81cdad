package liwanag

import "time"

// JournalOp is what a line of the spend journal says.
type JournalOp string

// What lines say.
const (
	JournalBegins      JournalOp = "journal"     // the first line of a file: whose it is
	JournalSend        JournalOp = "send"        // a paid call is about to be made
	JournalAccepted    JournalOp = "accepted"    // FullEnrich gave its id
	JournalRefused     JournalOp = "refused"     // nothing was ordered
	JournalErase       JournalOp = "erase"       // somebody was erased
	JournalUnsubscribe JournalOp = "unsubscribe" // somebody left
	JournalSuppress    JournalOp = "suppress"    // an address or a domain must not come in again
)

// JournalLine is a line of the spend journal. No address stands in it: people are
// named by the HMAC of their mailbox, as [SuppressionKey.Of] makes it.
type JournalLine struct {
	N        int64     `json:"n"` // counts up within a file, with gaps; the database knows the last
	Op       JournalOp `json:"op"`
	At       time.Time `json:"at"`
	Instance string    `json:"instance,omitempty"`

	// Of send: all that is needed to know the submission again.
	Submission string       `json:"submission,omitempty"`
	Run        string       `json:"run,omitempty"`
	Ordinal    int          `json:"ordinal,omitempty"`
	Supersedes string       `json:"supersedes,omitempty"`
	Token      string       `json:"token,omitempty"` // SHA-256 of the webhook's token, hexadecimal
	Jobs       []JournalJob `json:"jobs,omitempty"`

	Enrichment string   `json:"enrichment,omitempty"` // of accepted
	Digests    []string `json:"digests,omitempty"`    // of who left
	Domain     string   `json:"domain,omitempty"`     // of suppress
	Reason     string   `json:"reason,omitempty"`     // of suppress
}

// JournalJob is a lookup of a paid call.
type JournalJob struct {
	ID     string `json:"id"`
	Digest string `json:"digest"`
}

// Instance is what was done with a database as a whole.
type Instance struct {
	ID       string // empty until the first start
	MovedTo  string // where its rows went; empty: nowhere
	Restored bool   // what the journal knows beyond it is not applied yet
}

// Ordered is a lookup that was paid for, or may be, of a person who is not here.
type Ordered struct {
	Digest       string
	JobID        ID
	SubmissionID ID
}

// Backup is a copy of the database that this one knows of.
type Backup struct {
	Path      string // absolute, on the machine that made it
	MadeAt    time.Time
	Size      int64 // bytes
	Scheduled bool
}
