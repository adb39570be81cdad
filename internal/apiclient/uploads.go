package apiclient

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"mime/multipart"
	"time"

	"github.com/liwanag/liwanag/internal/api"
	"github.com/liwanag/liwanag/workflow/runapi"
)

// UploadFile is what a CSV file comes with.
type UploadFile struct {
	Name    string
	Source  string            // for rows that name none
	Mapping map[string]string // column name to field, over what the headers say
	Confirm bool              // do not wait for ConfirmUpload
}

// Upload sends a CSV file as it is read and returns when the server has counted
// its rows.
func (c *Client) Upload(ctx context.Context, f UploadFile, r io.Reader) (api.Upload, error) {
	body, pipe := io.Pipe()
	defer body.Close() // ends the writer when the server answers early
	form := multipart.NewWriter(pipe)
	file := &reader{r: r}
	go func() { pipe.CloseWithError(writeForm(form, f, file)) }()
	query := runapi.Values(api.AddUploadRequest{Confirm: f.Confirm})
	var up api.Upload
	res, err := c.send(ctx, api.AddUpload.Method, api.AddUpload.Path, query, form.FormDataContentType(), body)
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
func (c *Client) MapUpload(ctx context.Context, id string, mapping map[string]string) (api.Upload, error) {
	return post[api.Upload](ctx, c, at("uploads", id, "mapping"), map[string]any{"mapping": mapping})
}

// WatchUpload yields an upload now and whenever it changes, until it has ended;
// see Watch.
func (c *Client) WatchUpload(ctx context.Context, id string, every time.Duration) iter.Seq2[api.Upload, error] {
	return until(Watch(ctx, every, func(ctx context.Context) (api.Upload, error) { return api.GetUpload.Call(ctx, c, runapi.ID(id)) }), api.Upload.Ended)
}
