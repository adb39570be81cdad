package api

import (
	"net/http"
	"strings"
	"time"

	"github.com/liwanag/liwanag/workflow/runapi"
)

// Routes of uploads.
var (
	AddUpload = runapi.Post[AddUploadRequest, Upload]("/uploads",
		"add-upload", "Upload a CSV file; it waits in previewed until it is confirmed", http.StatusAccepted).Scoped(ingest)
	ListUploads     = runapi.Get[UploadQuery, runapi.List[Upload]]("/uploads", "list-uploads", "List uploads, newest first").Scoped(read)
	GetUpload       = runapi.Get[runapi.IDPath, Upload]("/uploads/{id}", "get-upload", "An upload's counts and progress").Scoped(read)
	GetUploadSample = runapi.Get[runapi.IDPath, UploadSample]("/uploads/{id}/sample",
		"get-upload-sample", "The first rows of an upload").Scoped(read)
	MapUpload = runapi.Post[runapi.Addressed[MapUploadRequest], Upload]("/uploads/{id}/mapping",
		"map-upload", "Read an unconfirmed upload as another mapping says, and count it anew", http.StatusOK).Scoped(ingest)
	ConfirmUpload = runapi.Post[ConfirmUploadRequest, Upload]("/uploads/{id}/confirm",
		"confirm-upload", "Import a previewed upload", http.StatusAccepted).Scoped(ingest)
	CancelUpload = runapi.Post[runapi.IDPath, Upload]("/uploads/{id}/cancel",
		"cancel-upload", "Import nothing more", http.StatusOK).Scoped(ingest)
	ResubscribeUpload = runapi.Post[runapi.Addressed[*StandingRequest], UploadStanding]("/uploads/{id}/resubscribe",
		"resubscribe-upload", "Take back those who left because the file said so; nobody is looked up", http.StatusOK).Scoped(operate)
	GetUploadErrors = runapi.File[runapi.IDPath]("/uploads/{id}/errors.csv",
		"get-upload-errors", "The invalid rows: number, line, reason, cells", "text/csv").Scoped(export)
)

// AddUploadRequest carries a CSV file; the fields of Body before its file.
type AddUploadRequest struct {
	Confirm bool `query:"confirm" doc:"true: do not wait, unless it needs_mapping."`
	UploadCap
	Body UploadForm `contentType:"multipart/form-data"`
}

// UploadCap is what the lookups of an upload may cost.
type UploadCap struct {
	Cap string `query:"cap" pattern:"^[0-9]{1,15}$" doc:"Credits that its lookups may cost; whoever is above it is stored and not looked up (canceled, cap). Left out: what the preview says."`
}

// ConfirmUploadRequest confirms an upload.
type ConfirmUploadRequest struct {
	runapi.IDPath
	UploadCap
}

// UploadForm is what a file comes with.
type UploadForm struct {
	Source  string `form:"source" doc:"For rows that name none. Before the file."`
	Mapping string `form:"mapping" doc:"A JSON object: column name to field. Before the file."`
	// Encoding is any usual name.
	Encoding string `form:"encoding" doc:"How the file is written, such as UTF-8 or Shift_JIS; left out: it is found. Before the file."`
	Standing string `form:"standing" enum:"believe,ignore" doc:"ignore: nobody left, whatever a column says. Before the file."`
	File     []byte `form:"file" required:"true"`
}

// UploadQuery asks for a page of uploads.
type UploadQuery struct{ runapi.Paging }

// Upload is a CSV file on its way in.
type Upload struct {
	ID               string            `json:"id"`
	FileName         string            `json:"fileName,omitempty"`
	Source           string            `json:"source,omitempty"`
	Status           string            `json:"status" enum:"previewed,needs_mapping,importing,enriching,done,failed,canceled"`
	Columns          []string          `json:"columns,omitempty"`
	Mapping          map[string]string `json:"mapping,omitempty" doc:"Column name to field."`
	Encoding         string            `json:"encoding,omitempty" doc:"How the file is written."`
	Counts           UploadCounts      `json:"counts"`
	Changes          UploadChanges     `json:"changes"`
	Standing         []ColumnNote      `json:"standing,omitempty" doc:"Columns that say that somebody left, and how often."`
	IgnoreStanding   bool              `json:"ignoreStanding,omitempty" doc:"Nobody left, whatever those columns say."`
	Unread           []ColumnNote      `json:"unread,omitempty" doc:"Columns of times, and how many cells of the whole file cannot be read as one; they are kept in the metadata."`
	Typos            []TypoNote        `json:"typos,omitempty" doc:"Domains that look mistyped, the most rows first, 20 at most. Nothing is changed by them."`
	Marked           *int64            `json:"marked,omitempty" doc:"People who are away because the file says so, and nobody else; there when one upload is asked for."`
	EstimatedCredits int64             `json:"estimatedCredits" doc:"What the lookups cost at most."`
	Credits          *int64            `json:"credits,omitempty" doc:"What its lookups cost; there once all is over, when one upload is asked for."`
	Cap              *int64            `json:"cap,omitempty" doc:"What they may cost, as whoever confirmed it said."`
	Progress         UploadProgress    `json:"progress"`
	Failure          *JobFailure       `json:"failure,omitempty"`
	CreatedAt        time.Time         `json:"createdAt"`
	EndedAt          time.Time         `json:"endedAt,omitzero"`
}

// Ended says whether nothing more happens to the upload.
func (u Upload) Ended() bool {
	return u.Status == "done" || u.Status == "failed" || u.Status == "canceled"
}

// UploadCounts count each row once.
type UploadCounts struct {
	Rows         int64 `json:"rows"`
	New          int64 `json:"new"`
	Known        int64 `json:"known"`
	Duplicate    int64 `json:"duplicate"`
	Corporate    int64 `json:"corporate"`
	Relay        int64 `json:"relay" doc:"Addresses that hide another one: stored, looked up by hand alone."`
	Disposable   int64 `json:"disposable" doc:"Addresses for minutes or days: stored, looked up by hand alone."`
	Unsubscribed int64 `json:"unsubscribed" doc:"Rows that say that the person left: stored, not looked up."`
	Suppressed   int64 `json:"suppressed" doc:"Nothing of them is stored."`
	Invalid      int64 `json:"invalid"`
}

// UploadChanges count people who are known, and of whom the import would change something.
type UploadChanges struct {
	People       int64 `json:"people" doc:"Of whom anything changes, the first row of each address."`
	Stated       int64 `json:"stated" doc:"Another name, company or LinkedIn address. What was found stays."`
	Tags         int64 `json:"tags"`
	Sources      int64 `json:"sources"`
	Metadata     int64 `json:"metadata"`
	SignedUp     int64 `json:"signedUp" doc:"An earlier time of signing up."`
	Unsubscribed int64 `json:"unsubscribed" doc:"Subscribed so far, and left as the file says."`
}

// ColumnNote counts cells of a column.
type ColumnNote struct {
	Column string `json:"column"`
	Rows   int64  `json:"rows"`
	First  int64  `json:"first" doc:"The first such row, data rows from 1."`
}

// TypoNote is a domain that looks mistyped.
type TypoNote struct {
	Domain string `json:"domain"`
	Meant  string `json:"meant" doc:"Which one it may be."`
	Rows   int64  `json:"rows"`
}

// UploadStanding says what became of an upload's marks.
type UploadStanding struct {
	UploadID string `json:"uploadId"`
	Rows     int    `json:"rows" doc:"How many subscribers are subscribed again."`
}

// UploadProgress counts what became of an upload's rows.
type UploadProgress struct {
	Rows     int64 `json:"rows" doc:"How many of its rows were read so far."`
	Imported int64 `json:"imported"`
	Enriched int64 `json:"enriched"`
	NotFound int64 `json:"notFound"`
	Failed   int64 `json:"failed"`
}

// UploadSample are the first rows of a file.
type UploadSample struct {
	Columns []string    `json:"columns"`
	Rows    []SampleRow `json:"rows" doc:"At most 20; none once the file is imported or forgotten."`
	// Encodings are those it may be written in, one if that is clear.
	Encodings []EncodingSample `json:"encodings,omitempty" doc:"How it reads in its encoding, or in each that it may be."`
}

// EncodingSample shows how a file reads in an encoding.
type EncodingSample struct {
	Name   string   `json:"name"`
	Values []string `json:"values,omitempty" doc:"At most three cells with letters that are not ASCII."`
}

// SampleRow is a row as the file has it.
type SampleRow struct {
	Row   int64    `json:"row" doc:"Data rows from 1."`
	Cells []string `json:"cells" doc:"One for each column."`
	Code  string   `json:"code,omitempty" doc:"Why the row is invalid, stable."`
	Fault string   `json:"fault,omitempty" doc:"The same for people."`
	// Unread is what is kept in the metadata only.
	Unread []string `json:"unread,omitempty" doc:"Columns whose cell cannot be read as a time; it is kept in the metadata."`
}

// MapUploadRequest says which column is which field.
type MapUploadRequest struct {
	Mapping  map[string]string `json:"mapping,omitempty" doc:"Column name to field, over what the headers say."`
	Encoding string            `json:"encoding,omitempty" doc:"How the file is written; left out: as before, if that was clear."`
	Standing string            `json:"standing,omitempty" enum:"believe,ignore" doc:"ignore: nobody left, whatever a column says; left out: as before."`
}

// Text says in words what an import changes of known people, numbers as the reader has
// them; empty for nothing.
func (c UploadChanges) Text(number func(int64) string) string {
	var parts []string
	for _, part := range []struct {
		n    int64
		what string
	}{{c.Stated, "with new stated values"}, {c.Tags, "tagged"}, {c.Sources, "with a new source"}, {c.Metadata, "with new metadata"},
		{c.SignedUp, "signed up earlier"}, {c.Unsubscribed, "unsubscribed"}} {
		if part.n > 0 {
			parts = append(parts, number(part.n)+" "+part.what)
		}
	}
	return strings.Join(parts, ", ")
}
