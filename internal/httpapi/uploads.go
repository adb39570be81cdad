package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/liwanag/liwanag/internal/intake"
	"github.com/liwanag/liwanag/internal/liwanag"
)

const (
	uploadsPath = "/api/v1/uploads"
	// maxUpload is what a request with a file may have: intake's limit of the file
	// itself, and room for the form around it.
	maxUpload    = 512<<20 + 1<<20
	maxFormField = 64 << 10
)

func (s *Server) registerUploads() {
	create := s.describe("POST", uploadsPath, "add-upload", "Upload a CSV file; it waits in previewed until it is confirmed", http.StatusAccepted)
	create.Parameters = []*huma.Param{{Name: "confirm", In: "query", Schema: &huma.Schema{Type: huma.TypeBoolean}, Description: "true: do not wait."}}
	create = body(create, "multipart/form-data", &huma.Schema{Type: huma.TypeObject, Required: []string{"file"}, Properties: map[string]*huma.Schema{
		"source":  {Type: huma.TypeString, Description: "For rows that name none. Before the file."},
		"mapping": {Type: huma.TypeString, Description: "A JSON object: column name to field. Before the file."},
		"file":    {Type: huma.TypeString, Format: "binary"},
	}})
	s.raw(answer(create, "application/json", schemaOf[upload](s)), s.createUpload)
	handle(s, s.describe("GET", uploadsPath, "list-uploads", "List uploads, newest first", 200), s.listUploads)
	for _, act := range []struct {
		method, path, id, summary string
		status                    int
		do                        func(context.Context, liwanag.ID) (intake.UploadView, error)
	}{
		{"GET", "", "get-upload", "An upload's counts and progress", 200, s.cfg.Uploads.Get},
		{"POST", "/confirm", "confirm-upload", "Import a previewed upload", http.StatusAccepted, s.cfg.Uploads.Confirm},
		{"POST", "/cancel", "cancel-upload", "Import nothing more", 200, s.cfg.Uploads.Cancel},
	} {
		handle(s, s.describe(act.method, uploadsPath+"/{id}"+act.path, act.id, act.summary, act.status),
			func(ctx context.Context, in *IDPath) (upload, error) {
				id, err := idOf(liwanag.UploadKind, in.ID, "upload")
				if err != nil {
					return upload{}, err
				}
				view, err := act.do(ctx, id)
				return viewUpload(view), named(err, "upload")
			})
	}
	faults := s.describe("GET", uploadsPath+"/{id}/errors.csv", "get-upload-errors", "The invalid rows: number, line, reason", 200)
	faults.Parameters = []*huma.Param{{Name: "id", In: "path", Required: true, Schema: &huma.Schema{Type: huma.TypeString}}}
	s.raw(answer(faults, "text/csv", &huma.Schema{Type: huma.TypeString}), s.uploadErrors)
}

// upload is an upload as the API shows it.
type upload struct {
	ID               string          `json:"id"`
	FileName         string          `json:"fileName,omitempty"`
	Source           string          `json:"source,omitempty"`
	Status           string          `json:"status" enum:"previewed,importing,enriching,done,failed,canceled"`
	Columns          []string        `json:"columns,omitempty" nullable:"false"`
	Mapping          json.RawMessage `json:"mapping,omitempty" doc:"Column name to field."`
	Counts           uploadCounts    `json:"counts"`
	EstimatedCredits int64           `json:"estimatedCredits" doc:"What the lookups cost at most."`
	Progress         uploadProgress  `json:"progress"`
	Failure          *jobFailure     `json:"failure,omitempty"`
	CreatedAt        time.Time       `json:"createdAt"`
	EndedAt          time.Time       `json:"endedAt,omitzero"`
}

// uploadCounts count each row once.
type uploadCounts struct {
	Rows      int64 `json:"rows"`
	New       int64 `json:"new"`
	Known     int64 `json:"known"`
	Duplicate int64 `json:"duplicate"`
	Corporate int64 `json:"corporate"`
	Invalid   int64 `json:"invalid"`
}

// uploadProgress counts what became of an upload's rows.
type uploadProgress struct {
	Imported int64 `json:"imported"`
	Enriched int64 `json:"enriched"`
	NotFound int64 `json:"notFound"`
	Failed   int64 `json:"failed"`
}

func viewUpload(u intake.UploadView) upload {
	c, p := u.Counts, u.Progress
	return upload{
		ID: u.ID.String(), FileName: u.FileName, Source: u.Source, Status: string(u.Status), Columns: u.Columns, Mapping: u.Mapping,
		Counts:           uploadCounts{c.Rows, c.New, c.Known, c.Duplicate, c.Corporate, c.Invalid},
		EstimatedCredits: u.EstimatedCredits, Progress: uploadProgress{p.Imported, p.Enriched, p.NotFound, p.Failed},
		Failure: viewFailure(u.Failure), CreatedAt: u.CreatedAt.UTC(), EndedAt: utc(u.EndedAt),
	}
}

func (s *Server) listUploads(ctx context.Context, in *struct{ Paging }) (list[upload], error) {
	rows, next, err := s.cfg.Uploads.List(ctx, in.page())
	return listOf(rows, next, viewUpload), err
}

func (s *Server) createUpload(w http.ResponseWriter, r *http.Request) error {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/form-data" {
		return newProblem(http.StatusUnsupportedMediaType, "unsupported_media_type", "send multipart/form-data with the CSV file in the field file")
	}
	if r.ContentLength > maxUpload {
		return &http.MaxBytesError{Limit: maxUpload}
	}
	stream := &streamer{r: http.MaxBytesReader(w, r.Body, maxUpload), w: w, control: http.NewResponseController(w)}
	r.Body = io.NopCloser(stream)
	form, err := r.MultipartReader()
	if err != nil {
		return newProblem(http.StatusBadRequest, "malformed", "the form cannot be read")
	}
	view, err := s.readUpload(r.Context(), form)
	if err != nil {
		// Most clients send to the end before they read the answer: they would see a
		// reset connection instead of the reason.
		_, _ = io.Copy(io.Discard, stream)
		if stream.err != nil {
			return bodyFault(stream.err) // whatever came of it, this was the cause
		}
		return err
	}
	if r.URL.Query().Get("confirm") == "true" {
		if view, err = s.cfg.Uploads.Confirm(r.Context(), view.ID); err != nil {
			return err
		}
	}
	stream.extend()
	return writeJSON(w, http.StatusAccepted, viewUpload(view))
}

// readUpload reads the form's fields up to the file, and streams that.
func (s *Server) readUpload(ctx context.Context, form *multipart.Reader) (intake.UploadView, error) {
	var req intake.UploadRequest
	for {
		part, err := form.NextPart()
		if errors.Is(err, io.EOF) {
			return intake.UploadView{}, invalidField("file", "it is missing")
		}
		if err != nil {
			return intake.UploadView{}, newProblem(http.StatusBadRequest, "malformed", "the form cannot be read")
		}
		switch name := part.FormName(); name {
		case "file":
			if encoding := part.Header.Get("Content-Encoding"); encoding != "" {
				return intake.UploadView{}, newProblem(http.StatusUnsupportedMediaType, "unsupported_encoding", "send the file as it is, without Content-Encoding")
			}
			req.FileName = part.FileName()
			return s.cfg.Uploads.Create(ctx, part, req)
		case "source", "mapping":
			value, err := io.ReadAll(io.LimitReader(part, maxFormField+1))
			if err != nil {
				return intake.UploadView{}, newProblem(http.StatusBadRequest, "malformed", "the form cannot be read")
			}
			if len(value) > maxFormField {
				return intake.UploadView{}, invalidField(name, "it is too long")
			}
			if name == "source" {
				req.Source = string(value)
			} else if tooDeep(value) || json.Unmarshal(value, &req.Mapping) != nil {
				return intake.UploadView{}, invalidField(name, "it is not a JSON object of texts")
			}
		default:
			return intake.UploadView{}, invalidField(clip(name), "there is no such field")
		}
	}
}

func (s *Server) uploadErrors(w http.ResponseWriter, r *http.Request) error {
	id, err := idOf(liwanag.UploadKind, r.PathValue("id"), "upload")
	if err != nil {
		return err
	}
	return s.download(w, r, "errors.csv", func(to *streamer) error {
		return named(s.cfg.Uploads.WriteErrors(r.Context(), id, to), "upload")
	})
}
