package httpapi

import (
	"context"

	"github.com/liwanag/liwanag/internal/api"
	"github.com/liwanag/liwanag/internal/intake"
	"github.com/liwanag/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/workflow/runapi"
)

// uploadSample are the first rows of a file.
type uploadSample struct {
	Columns []string    `json:"columns" nullable:"false"`
	Rows    []sampleRow `json:"rows" nullable:"false" doc:"At most 20; none once the file is imported or forgotten."`
}

// sampleRow is a row as the file has it.
type sampleRow struct {
	Row   int64    `json:"row" doc:"Data rows from 1."`
	Cells []string `json:"cells" nullable:"false" doc:"One for each column."`
	Code  string   `json:"code,omitempty" doc:"Why the row is invalid, stable."`
	Fault string   `json:"fault,omitempty" doc:"The same for people."`
}

func (s *Server) registerUploadMapping() {
	handle(s, s.describe("GET", "/api/v1/uploads"+"/{id}/sample", "get-upload-sample", "The first rows of an upload", 200), s.getUploadSample)
	handle(s, s.describe("POST", "/api/v1/uploads"+"/{id}/mapping", "map-upload", "Read a previewed upload as another mapping says, and count it anew", 200), s.mapUpload)
}

func (s *Server) getUploadSample(ctx context.Context, in *runapi.IDPath) (uploadSample, error) {
	id, err := idOf(liwanag.UploadKind, in.ID, "upload")
	if err != nil {
		return uploadSample{}, err
	}
	up, err := s.cfg.Uploads.Get(ctx, id)
	if err != nil {
		return uploadSample{}, named(err, "upload")
	}
	rows, err := s.cfg.Uploads.Sample(ctx, id)
	if err != nil {
		return uploadSample{}, named(err, "upload")
	}
	view := uploadSample{Columns: append([]string{}, up.Columns...), Rows: make([]sampleRow, len(rows))}
	for i, row := range rows {
		view.Rows[i] = sampleRow{Row: row.Number, Cells: row.Cells}
		if row.Fault != nil {
			view.Rows[i].Code, view.Rows[i].Fault = row.Fault.Code, row.Fault.Reason
		}
	}
	return view, nil
}

func (s *Server) mapUpload(ctx context.Context, in *struct {
	runapi.IDPath
	Body struct {
		Mapping map[string]string `json:"mapping" doc:"Column name to field, over what the headers say."`
	}
}) (api.Upload, error) {
	id, err := idOf(liwanag.UploadKind, in.ID, "upload")
	if err != nil {
		return api.Upload{}, err
	}
	mapping := map[string]intake.Field{}
	for column, field := range in.Body.Mapping {
		mapping[column] = intake.Field(field)
	}
	view, err := s.cfg.Uploads.Remap(ctx, id, mapping)
	return viewUpload(view), named(err, "upload")
}
