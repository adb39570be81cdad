package apiclient

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime/multipart"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
)

// UploadFile is what a CSV file comes with.
type UploadFile struct {
	Name     string
	Source   string            // for rows that name none
	Mapping  map[string]string // column name to field, over what the headers say
	Encoding string            // empty: the server finds it
	Standing string            // ignore: nobody left, whatever a column says
	Confirm  bool              // do not wait for ConfirmUpload
}

// Upload sends a CSV file as it is read and returns when the server has counted
// its rows.
func (c *Client) Upload(ctx context.Context, f UploadFile, r io.Reader) (api.Upload, error) {
	body, pipe := io.Pipe()
	defer body.Close() // ends the writer when the server answers early
	form := multipart.NewWriter(pipe)
	file := &reader{r: r}
	go func() { pipe.CloseWithError(writeForm(form, f, file)) }()
	request := api.AddUpload.Request(api.AddUploadRequest{Confirm: f.Confirm})
	request.Header.Set("Content-Type", form.FormDataContentType())
	var up api.Upload
	res, err := c.send(ctx, request, body)
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
	if f.Encoding != "" {
		if err := form.WriteField("encoding", f.Encoding); err != nil {
			return err
		}
	}
	if f.Standing != "" {
		if err := form.WriteField("standing", f.Standing); err != nil {
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
