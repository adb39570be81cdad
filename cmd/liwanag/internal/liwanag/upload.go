package liwanag

import (
	"encoding/json"
	"time"
)

// UploadStatus is the state of an upload.
type UploadStatus string

// The states of an upload.
const (
	UploadPreviewed UploadStatus = "previewed" // read and counted, waits for confirmation
	// UploadNeedsMapping is read, but nobody would come in: its columns have to be
	// said, or its encoding. Failure says why.
	UploadNeedsMapping UploadStatus = "needs_mapping"
	UploadImporting    UploadStatus = "importing"
	UploadEnriching    UploadStatus = "enriching" // imported, jobs open
	UploadDone         UploadStatus = "done"
	UploadFailed       UploadStatus = "failed"
	UploadCanceled     UploadStatus = "canceled"
)

// Upload is a CSV file on its way in.
type Upload struct {
	ID       ID
	FileName string
	Source   string
	Status   UploadStatus
	Columns  []string        // as the file's head names them
	Mapping  json.RawMessage // column -> field, a JSON object
	Encoding string          // of the file, by its name in the preview
	Counts   UploadCounts
	Notes    UploadNotes
	// IgnoreStanding: whoever sent it said that nobody left, whatever the file says.
	IgnoreStanding bool
	Size           int64 // bytes
	// Position is how many data rows are imported: an import that was
	// interrupted goes on behind it.
	Position int64
	// Cap is what its lookups may cost, as whoever confirmed it said; nil: they said
	// nothing.
	Cap *int64
	// Owner is the node that looks after it, and OwnedUntil the time after which
	// another one may take over; zero: nobody does. They change by Claim and
	// Advance alone.
	Owner      string
	OwnedUntil time.Time
	Failure    JobFailure
	CreatedAt  time.Time
	EndedAt    time.Time
}

// UploadCounts: each row counts once, Rows is the sum of the others.
type UploadCounts struct {
	Rows, New, Known, Duplicate, Corporate int64
	Relay, Disposable                      int64
	Unsubscribed                           int64 // the row says that the person left
	Suppressed                             int64 // nothing of them is stored
	Invalid                                int64
}

// UploadNotes are what a preview says beside the counts. Nothing in it is of one person.
type UploadNotes struct {
	Changes  UploadChanges `json:"changes,omitzero"`
	Standing []ColumnNote  `json:"standing,omitempty"` // cells that say that somebody left
	Unread   []ColumnNote  `json:"unread,omitempty"`   // cells that should be a time, and are none
	Typos    []TypoNote    `json:"typos,omitempty"`    // the most rows first
}

// UploadChanges count people who are known already, and of whom the import would
// change something. Of an address that comes twice the first row counts.
type UploadChanges struct {
	People       int64 `json:"people,omitempty"` // of whom anything changes
	Stated       int64 `json:"stated,omitempty"` // another name, company or LinkedIn address
	Tags         int64 `json:"tags,omitempty"`
	Sources      int64 `json:"sources,omitempty"`
	Metadata     int64 `json:"metadata,omitempty"`
	SignedUp     int64 `json:"signedUp,omitempty"`     // an earlier time
	Unsubscribed int64 `json:"unsubscribed,omitempty"` // subscribed so far
}

// ColumnNote counts cells of a column.
type ColumnNote struct {
	Column string `json:"column"`
	Rows   int64  `json:"rows"`
	First  int64  `json:"first"` // the first such row, from 1
}

// TypoNote counts rows whose domain looks like another one, mistyped.
type TypoNote struct {
	Domain string `json:"domain"`
	Meant  string `json:"meant"`
	Rows   int64  `json:"rows"`
}

// UploadProgress is counted from the jobs an upload made.
type UploadProgress struct {
	Imported, Enriched, NotFound, Failed, Open int64
}

// UploadRowError is a row that was not imported. Row counts data rows from 1.
type UploadRowError struct {
	Row    int64
	Line   int64 // physical line of the file, from 1
	Field  string
	Code   string // stable: invalid_email, broken_quotes, …
	Reason string // a short text without the row's data
	Cells  []string
}

// UploadMove is a compare-and-set of an upload.
type UploadMove struct {
	ID      ID
	From    []UploadStatus
	To      UploadStatus
	Failure JobFailure
	At      time.Time // becomes EndedAt when To is done, failed or canceled
}

// UploadClaim makes a node the one that looks after an upload. Until is Now or
// earlier when it gives the upload up.
type UploadClaim struct {
	ID         ID
	Owner      string    // the node, never empty
	Now, Until time.Time // by the node's clock
}

// UploadAdvance is a compare-and-set of an import's position, in the same
// transaction as the rows it stands for. Counts are the new totals.
type UploadAdvance struct {
	ID         ID
	Owner      string    // who has claimed it
	OwnedUntil time.Time // renews the claim
	From, To   int64
	Counts     UploadCounts
}
