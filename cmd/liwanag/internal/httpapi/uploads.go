package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strconv"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/httpapi/door"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/intake"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/workflow/runapi"
)

const (
	// maxUpload is what a request with a file may have: intake's limit of the file
	// itself, and room for the form around it.
	maxUpload    = 512<<20 + 1<<20
	maxFormField = 64 << 10

	// What is done with columns that say that somebody left.
	believeStanding, ignoreStanding = "believe", "ignore"
)

func (s *Server) registerUploads() {
	door.Stream(s.Door, api.AddUpload, s.createUpload)
	door.Serve(s.Door, api.ListUploads, s.listUploads)
	door.Serve(s.Door, api.GetUpload, s.getUpload)
	door.Serve(s.Door, api.ConfirmUpload, func(ctx context.Context, in *api.ConfirmUploadRequest) (api.Upload, error) {
		return uploadAct(func(ctx context.Context, id liwanag.ID) (intake.UploadView, error) {
			return s.cfg.Uploads.Confirm(ctx, id, capOf(in.UploadCap))
		})(ctx, &in.IDPath)
	})
	door.Serve(s.Door, api.CancelUpload, uploadAct(s.cfg.Uploads.Cancel))
	door.Serve(s.Door, api.ResubscribeUpload, s.resubscribeUpload)
	door.Stream(s.Door, api.GetUploadErrors, s.uploadErrors)
}

// getUpload shows an upload, whom it marked, and what it cost when it is over.
func (s *Server) getUpload(ctx context.Context, in *runapi.IDPath) (api.Upload, error) {
	view, err := uploadAct(s.cfg.Uploads.Get)(ctx, in)
	if err != nil {
		return view, err
	}
	id, err := idOf(liwanag.UploadKind, in.ID, "upload")
	if err != nil {
		return view, err
	}
	marked, err := s.cfg.Store.Subscribers.CountLeftBy(ctx, id.String())
	if view.Marked = &marked; err != nil || !view.Ended() {
		return view, err
	}
	cost, err := s.cfg.Store.Uploads.Cost(ctx, id)
	view.Credits = &cost
	return view, err
}

// resubscribeUpload undoes what a file said of who left.
func (s *Server) resubscribeUpload(ctx context.Context, in *runapi.Addressed[*api.StandingRequest]) (api.UploadStanding, error) {
	id, err := idOf(liwanag.UploadKind, in.ID, "upload")
	if err != nil {
		return api.UploadStanding{}, err
	}
	rows, err := s.cfg.Enrichment.ResubscribeUpload(ctx, id)
	return api.UploadStanding{UploadID: id.String(), Rows: rows}, named(err, "upload")
}

// uploadAct does something to one upload and shows it.
func uploadAct(do func(context.Context, liwanag.ID) (intake.UploadView, error)) func(context.Context, *runapi.IDPath) (api.Upload, error) {
	return func(ctx context.Context, in *runapi.IDPath) (api.Upload, error) {
		id, err := idOf(liwanag.UploadKind, in.ID, "upload")
		if err != nil {
			return api.Upload{}, err
		}
		view, err := do(ctx, id)
		return viewUpload(view), named(err, "upload")
	}
}

// capOf is nil when nobody named one; what is no number was refused before.
func capOf(c api.UploadCap) *int64 {
	n, err := strconv.ParseInt(c.Cap, 10, 64)
	if err != nil {
		return nil
	}
	return &n
}

func viewUpload(u intake.UploadView) api.Upload {
	var mapping map[string]string
	_ = json.Unmarshal(u.Mapping, &mapping) // ours: it can be decoded
	notes := u.Notes
	return api.Upload{
		Changes: api.UploadChanges(notes.Changes), IgnoreStanding: u.IgnoreStanding, Standing: columnNotes(notes.Standing),
		Unread: columnNotes(notes.Unread), Typos: typoNotes(notes.Typos),
		ID: u.ID.String(), FileName: u.FileName, Source: u.Source, Status: string(u.Status), Columns: u.Columns, Mapping: mapping,
		Encoding:         u.Encoding,
		Counts:           api.UploadCounts(u.Counts),
		EstimatedCredits: u.EstimatedCredits,
		Cap:              u.Cap,
		Progress: api.UploadProgress{Rows: min(u.Position, u.Counts.Rows), Imported: u.Progress.Imported, Enriched: u.Progress.Enriched,
			NotFound: u.Progress.NotFound, Failed: u.Progress.Failed},
		Failure: viewFailure(u.Failure), CreatedAt: u.CreatedAt.UTC(), EndedAt: utc(u.EndedAt),
	}
}

func columnNotes(notes []liwanag.ColumnNote) (views []api.ColumnNote) {
	for _, n := range notes {
		views = append(views, api.ColumnNote(n))
	}
	return views
}

func typoNotes(notes []liwanag.TypoNote) (views []api.TypoNote) {
	for _, n := range notes {
		views = append(views, api.TypoNote(n))
	}
	return views
}

func (s *Server) listUploads(ctx context.Context, in *api.UploadQuery) (runapi.List[api.Upload], error) {
	rows, next, err := s.cfg.Uploads.List(ctx, pageOf(in.Paging))
	return listOf(rows, next, viewUpload), err
}

func (s *Server) createUpload(w http.ResponseWriter, r *http.Request, in *api.AddUploadRequest) error {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/form-data" {
		return door.NewProblem(http.StatusUnsupportedMediaType, "unsupported_media_type",
			"send multipart/form-data with the CSV file in the field file")
	}
	if r.ContentLength > maxUpload {
		return &http.MaxBytesError{Limit: maxUpload}
	}
	stream := door.Streamed(w, http.MaxBytesReader(w, r.Body, maxUpload))
	r.Body = io.NopCloser(stream)
	form, err := r.MultipartReader()
	if err != nil {
		return door.NewProblem(http.StatusBadRequest, "malformed", "the form cannot be read")
	}
	view, err := s.readUpload(r.Context(), form)
	if err != nil {
		// Most clients send to the end before they read the answer: they would see a
		// reset connection instead of the reason.
		_, _ = io.Copy(io.Discard, stream)
		if stream.Fault() != nil {
			return door.BodyFault(stream.Fault()) // whatever came of it, this was the cause
		}
		return err
	}
	if in.Confirm && view.Status == liwanag.UploadPreviewed {
		if view, err = s.cfg.Uploads.Confirm(r.Context(), view.ID, capOf(in.UploadCap)); err != nil {
			return err
		}
	}
	stream.Extend()
	return door.WriteJSON(w, http.StatusAccepted, viewUpload(view))
}

// readUpload reads the form's fields up to the file, and streams that.
func (s *Server) readUpload(ctx context.Context, form *multipart.Reader) (intake.UploadView, error) {
	var req intake.UploadRequest
	for {
		part, err := form.NextPart()
		if errors.Is(err, io.EOF) {
			return intake.UploadView{}, door.InvalidField("file", "it is missing")
		}
		if err != nil {
			return intake.UploadView{}, door.NewProblem(http.StatusBadRequest, "malformed", "the form cannot be read")
		}
		switch name := part.FormName(); name {
		case "file":
			if encoding := part.Header.Get("Content-Encoding"); encoding != "" {
				return intake.UploadView{}, door.NewProblem(http.StatusUnsupportedMediaType, "unsupported_encoding",
					"send the file as it is, without Content-Encoding")
			}
			req.FileName = part.FileName()
			return s.cfg.Uploads.Create(ctx, part, req)
		case "source", "mapping", "encoding", "standing":
			value, err := io.ReadAll(io.LimitReader(part, maxFormField+1))
			if err != nil {
				return intake.UploadView{}, door.NewProblem(http.StatusBadRequest, "malformed", "the form cannot be read")
			}
			if len(value) > maxFormField {
				return intake.UploadView{}, door.InvalidField(name, "it is too long")
			}
			if err := setField(&req, name, value); err != nil {
				return intake.UploadView{}, err
			}
		default:
			return intake.UploadView{}, door.InvalidField(door.Clip(name), "there is no such field")
		}
	}
}

// setField takes one field of the form in.
func setField(req *intake.UploadRequest, name string, value []byte) error {
	switch name {
	case "source":
		req.Source = string(value)
	case "encoding":
		req.Encoding = string(value)
	case "standing":
		if req.IgnoreStanding = string(value) == ignoreStanding; !req.IgnoreStanding && string(value) != believeStanding {
			return door.InvalidField(name, "it is neither believe nor ignore")
		}
	default:
		if door.TooDeep(value) || json.Unmarshal(value, &req.Mapping) != nil {
			return door.InvalidField(name, "it is not a JSON object of texts")
		}
	}
	return nil
}

func (s *Server) uploadErrors(w http.ResponseWriter, r *http.Request, in *runapi.IDPath) error {
	id, err := idOf(liwanag.UploadKind, in.ID, "upload")
	if err != nil {
		return err
	}
	return s.Download(w, r, "errors.csv", func(to *door.Streamer) error {
		return named(s.cfg.Uploads.WriteErrors(r.Context(), id, to), "upload")
	})
}
