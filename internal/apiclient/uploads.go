package apiclient

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"mime/multipart"
	"net/http"
	"net/url"
	"time"
)

// UploadFile is what a CSV file comes with.
type UploadFile struct {
	Name    string
	Source  string            // for rows that name none
	Mapping map[string]string // column name to field, over what the headers say
	Confirm bool              // do not wait for ConfirmUpload
}

// Upload is a CSV file on its way in.
type Upload struct {
	ID               string            `json:"id"`
	FileName         string            `json:"fileName,omitempty"`
	Source           string            `json:"source,omitempty"`
	Status           string            `json:"status"`
	Columns          []string          `json:"columns,omitempty"`
	Mapping          map[string]string `json:"mapping,omitempty"`
	Counts           UploadCounts      `json:"counts"`
	EstimatedCredits int64             `json:"estimatedCredits"`
	Progress         UploadProgress    `json:"progress"`
	Failure          *Failure          `json:"failure,omitempty"`
	CreatedAt        time.Time         `json:"createdAt"`
	EndedAt          time.Time         `json:"endedAt,omitzero"`
}

// Ended says whether nothing more happens to the upload.
func (u Upload) Ended() bool {
	return u.Status == "done" || u.Status == "failed" || u.Status == "canceled"
}

// UploadCounts count each row once.
type UploadCounts struct {
	Rows      int64 `json:"rows"`
	New       int64 `json:"new"`
	Known     int64 `json:"known"`
	Duplicate int64 `json:"duplicate"`
	Corporate int64 `json:"corporate"`
	Invalid   int64 `json:"invalid"`
}

// UploadProgress counts what became of the rows.
type UploadProgress struct {
	Imported int64 `json:"imported"`
	Enriched int64 `json:"enriched"`
	NotFound int64 `json:"notFound"`
	Failed   int64 `json:"failed"`
}

// Upload sends a CSV file as it is read and returns when the server has counted
// its rows.
func (c *Client) Upload(ctx context.Context, f UploadFile, r io.Reader) (Upload, error) {
	body, pipe := io.Pipe()
	defer body.Close() // ends the writer when the server answers early
	form := multipart.NewWriter(pipe)
	file := &reader{r: r}
	go func() { pipe.CloseWithError(writeForm(form, f, file)) }()
	query := url.Values{}
	if f.Confirm {
		query.Set("confirm", "true")
	}
	var up Upload
	res, err := c.send(ctx, http.MethodPost, at("uploads"), query, form.FormDataContentType(), body)
	if unreachable := (*Unreachable)(nil); errors.As(err, &unreachable) && file.fault() != nil {
		return up, file.fault() // the file's fault, not the server's
	}
	if err != nil {
		return up, err
	}
	return up, c.decode(res, &up)
}

func writeForm(form *multipart.Writer, f UploadFile, r io.Reader) error {
	if f.Source != "" {
		if err := form.WriteField("source", f.Source); err != nil {
			return err
		}
	}
	if len(f.Mapping) > 0 {
		raw, err := json.Marshal(f.Mapping)
		if err != nil {
			return err
		}
		if err := form.WriteField("mapping", string(raw)); err != nil {
			return err
		}
	}
	part, err := form.CreateFormFile("file", f.Name)
	if err != nil {
		return err
	}
	if _, err := io.Copy(part, r); err != nil {
		return err
	}
	return form.Close()
}

// UploadSample are the first rows of a file.
type UploadSample struct {
	Columns []string    `json:"columns"`
	Rows    []SampleRow `json:"rows"` // at most 20; none once the file is imported or forgotten
}

// SampleRow is a row as the file has it; Code and Fault say why it is invalid.
type SampleRow struct {
	Row   int64    `json:"row"` // data rows from 1
	Cells []string `json:"cells"`
	Code  string   `json:"code,omitempty"`
	Fault string   `json:"fault,omitempty"`
}

// UploadSample reads the first rows of an upload.
func (c *Client) UploadSample(ctx context.Context, id string) (UploadSample, error) {
	return get[UploadSample](ctx, c, at("uploads", id, "sample"), nil)
}

// MapUpload reads a previewed upload as another mapping says, column name to
// field, and counts it anew.
func (c *Client) MapUpload(ctx context.Context, id string, mapping map[string]string) (Upload, error) {
	return post[Upload](ctx, c, at("uploads", id, "mapping"), map[string]any{"mapping": mapping})
}

// Uploads reads a page, newest first.
func (c *Client) Uploads(ctx context.Context, p Page) (List[Upload], error) {
	return get[List[Upload]](ctx, c, at("uploads"), filter(nil).values(p))
}

// UploadStatus reads an upload's counts and progress.
func (c *Client) UploadStatus(ctx context.Context, id string) (Upload, error) {
	return get[Upload](ctx, c, at("uploads", id), nil)
}

// ConfirmUpload lets a previewed upload be imported.
func (c *Client) ConfirmUpload(ctx context.Context, id string) (Upload, error) {
	return post[Upload](ctx, c, at("uploads", id, "confirm"), nil)
}

// CancelUpload ends an upload: nothing more is imported.
func (c *Client) CancelUpload(ctx context.Context, id string) (Upload, error) {
	return post[Upload](ctx, c, at("uploads", id, "cancel"), nil)
}

// UploadErrors writes the invalid rows as CSV and returns the bytes written.
func (c *Client) UploadErrors(ctx context.Context, id string, w io.Writer) (int64, error) {
	return c.download(ctx, at("uploads", id, "errors.csv"), nil, w)
}

// WatchUpload yields an upload now and whenever it changes, until it has ended;
// see Watch.
func (c *Client) WatchUpload(ctx context.Context, id string, every time.Duration) iter.Seq2[Upload, error] {
	return until(Watch(ctx, every, func(ctx context.Context) (Upload, error) { return c.UploadStatus(ctx, id) }), Upload.Ended)
}
