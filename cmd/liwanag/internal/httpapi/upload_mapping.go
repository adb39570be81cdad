package httpapi

import (
	"context"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/httpapi/door"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/intake"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/workflow/runapi"
)

func (s *Server) registerUploadMapping() {
	door.Serve(s.Door, api.GetUploadSample, s.getUploadSample)
	door.Serve(s.Door, api.MapUpload, s.mapUpload)
}

func (s *Server) getUploadSample(ctx context.Context, in *runapi.IDPath) (api.UploadSample, error) {
	id, err := idOf(liwanag.UploadKind, in.ID, "upload")
	if err != nil {
		return api.UploadSample{}, err
	}
	up, err := s.cfg.Uploads.Get(ctx, id)
	if err != nil {
		return api.UploadSample{}, named(err, "upload")
	}
	rows, err := s.cfg.Uploads.Sample(ctx, id)
	if err != nil {
		return api.UploadSample{}, named(err, "upload")
	}
	encodings, err := s.cfg.Uploads.Encodings(ctx, up.Upload)
	if err != nil {
		return api.UploadSample{}, err
	}
	view := api.UploadSample{Columns: append([]string{}, up.Columns...), Rows: make([]api.SampleRow, len(rows))}
	for _, e := range encodings {
		view.Encodings = append(view.Encodings, api.EncodingSample(e))
	}
	for i, row := range rows {
		view.Rows[i] = api.SampleRow{Row: row.Number, Cells: row.Cells, Unread: row.Unread}
		if row.Fault != nil {
			view.Rows[i].Code, view.Rows[i].Fault = row.Fault.Code, row.Fault.Reason
		}
	}
	return view, nil
}

func (s *Server) mapUpload(ctx context.Context, in *runapi.Addressed[api.MapUploadRequest]) (api.Upload, error) {
	id, err := idOf(liwanag.UploadKind, in.ID, "upload")
	if err != nil {
		return api.Upload{}, err
	}
	mapping := map[string]intake.Field{}
	for column, field := range in.Body.Mapping {
		mapping[column] = intake.Field(field)
	}
	as := intake.Reading{Mapping: mapping, Encoding: in.Body.Encoding, IgnoreStanding: in.Body.Standing == ignoreStanding}
	if in.Body.Standing == "" {
		before, err := s.cfg.Uploads.Get(ctx, id)
		if err != nil {
			return api.Upload{}, named(err, "upload")
		}
		as.IgnoreStanding = before.IgnoreStanding
	}
	view, err := s.cfg.Uploads.Remap(ctx, id, as)
	return viewUpload(view), named(err, "upload")
}
