package httpapi

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/apiclient"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/httpapi/door"
	"github.com/liwanag/liwanag/workflow/runapi"
)

func TestAFileOfInvalidRowsAloneIsNotConfirmed(t *testing.T) {
	w := newWorld(t)
	c := w.client()
	up, err := c.Upload(t.Context(), apiclient.UploadFile{Name: "a.csv", Confirm: true}, strings.NewReader("email\nnobody\nno-one\n"))
	w.must(err)
	if up.Status != "needs_mapping" || up.Failure == nil || up.Failure.Code != "no_valid_rows" || up.Counts.Invalid != 2 {
		t.Errorf("%+v", up)
	}
	_, err = api.ConfirmUpload.Call(t.Context(), c, api.ConfirmUploadRequest{IDPath: runapi.ID(up.ID)})
	wantCode(t, err, 409, "state")
}

func TestAnUploadNamesItsEncodingOrAsksForIt(t *testing.T) {
	w := newWorld(t)
	c := w.client()
	file := "email,name\nwei@qq.com,\xcd\xf5\xce\xb0\n"
	up, err := c.Upload(t.Context(), apiclient.UploadFile{Name: "a.csv", Confirm: true}, strings.NewReader(file))
	w.must(err)
	if up.Status != "needs_mapping" || up.Failure == nil || up.Failure.Code != "unclear_encoding" {
		t.Errorf("%+v", up)
	}
	sample, err := api.GetUploadSample.Call(t.Context(), c, runapi.ID(up.ID))
	w.must(err)
	if !slices.ContainsFunc(sample.Encodings, func(e api.EncodingSample) bool {
		return e.Name == "GB18030" && slices.Equal(e.Values, []string{"王伟"})
	}) {
		t.Errorf("%+v", sample.Encodings)
	}
	if up, err = api.MapUpload.Call(t.Context(), c, runapi.To(up.ID, api.MapUploadRequest{Encoding: "gb18030"})); err != nil ||
		up.Status != "previewed" {
		t.Errorf("%+v %v", up, err)
	}
	given, err := c.Upload(t.Context(), apiclient.UploadFile{Name: "a.csv", Encoding: "GBK"}, strings.NewReader(file))
	if err != nil || given.Encoding != "GB18030" || given.Status != "previewed" {
		t.Errorf("%+v %v", given, err)
	}
	_, err = c.Upload(t.Context(), apiclient.UploadFile{Name: "a.csv", Encoding: "morse"}, strings.NewReader(file))
	wantCode(t, err, 422, "unknown_encoding")
}

func TestAFileIsPreviewedAndNobodyIsStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		ctx, c := t.Context(), w.client()
		file := "Work mail,Nick\nada@gmail.com,A\nnobody,B\nada@gmail.com,C\ngrace@acme-corp.com,D\n"
		up, err := c.Upload(ctx, apiclient.UploadFile{Name: `C:\lists\people.csv`, Source: "fair",
			Mapping: map[string]string{"Work mail": "email", "Nick": "fullName"}}, strings.NewReader(file))
		w.must(err)
		want := api.UploadCounts{Rows: 4, New: 1, Duplicate: 1, Corporate: 1, Invalid: 1}
		if up.Status != "previewed" || up.Counts != want || up.EstimatedCredits != 1 || up.FileName != "people.csv" ||
			up.Mapping["Nick"] != "fullName" {
			t.Errorf("%+v", up)
		}
		if people, err := api.ListSubscribers.Call(ctx, c,
			api.SubscriberQuery{SubscriberFilter: api.SubscriberFilter{}, Paging: runapi.Paging{}}); err != nil || len(people.Items) != 0 {
			t.Errorf("before it was confirmed: %+v %v", people, err)
		}
		var faults bytes.Buffer
		_, err = api.GetUploadErrors.Copy(ctx, c, runapi.ID(up.ID), &faults)
		w.must(err)
		if rows, err := csv.NewReader(&faults).ReadAll(); err != nil || len(rows) != 2 || rows[1][0] != "2" || rows[1][2] != "invalid_email" ||
			strings.Contains(rows[1][4], "nobody") {
			t.Errorf("%v %v", rows, err)
		}
	})
}

func TestAFileIsConfirmedImportedAndExported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		stop := w.run()
		defer stop()
		ctx, c := t.Context(), w.client()
		up, err := c.Upload(ctx, apiclient.UploadFile{Name: "people.csv", Source: "fair"}, strings.NewReader("email\nada@gmail.com\n"))
		w.must(err)
		if up, err = api.ConfirmUpload.Call(ctx, c, api.ConfirmUploadRequest{IDPath: runapi.ID(up.ID)}); err != nil || up.Status == "previewed" {
			t.Errorf("%+v %v", up, err)
		}
		for u, err := range c.WatchUpload(ctx, up.ID, time.Second) {
			w.must(err)
			up = u
		}
		if up.Status != "done" || up.Progress.Enriched != 1 || up.EndedAt.IsZero() {
			t.Errorf("%+v", up)
		}
		_, err = api.ConfirmUpload.Call(ctx, c, api.ConfirmUploadRequest{IDPath: runapi.ID(up.ID)})
		wantCode(t, err, 409, "state")
		_, err = api.CancelUpload.Call(ctx, c, runapi.ID(up.ID))
		wantCode(t, err, 409, "state")
		uploads, err := api.ListUploads.Call(ctx, c, api.UploadQuery{Paging: runapi.Paging{}})
		if err != nil || len(uploads.Items) != 1 || uploads.Items[0].ID != up.ID {
			t.Errorf("%+v %v", uploads, err)
		}
		var export bytes.Buffer
		wanted := api.SubscriberExport{SubscriberFilter: api.SubscriberFilter{Source: "fair"}}
		n, err := api.ExportSubscribers.Copy(ctx, c, wanted, &export)
		if err != nil || int(n) != export.Len() || strings.Count(export.String(), "\n") < 2 ||
			!strings.Contains(export.String(), "ada@gmail.com") {
			t.Errorf("%d %v %s", n, err, &export)
		}
		export.Reset()
		wanted.SubscriberFilter = api.SubscriberFilter{Status: "failed"}
		if _, err = api.ExportSubscribers.Copy(ctx, c, wanted, &export); err != nil ||
			strings.Count(export.String(), "\n") != 1 {
			t.Errorf("nobody matches: %v %s", err, &export)
		}
	})
}

func TestAFileIsConfirmedAtOnceCanceledOrMapped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		stop := w.run()
		defer stop()
		ctx, c := t.Context(), w.client()
		second, err := c.Upload(ctx, apiclient.UploadFile{Name: "x.csv", Confirm: true}, strings.NewReader("email\nlinus@gmail.com\n"))
		if err != nil || second.Status != "importing" {
			t.Errorf("%+v %v", second, err)
		}
		third, err := c.Upload(ctx, apiclient.UploadFile{Name: "y.csv"}, strings.NewReader("email\nken@gmail.com\n"))
		w.must(err)
		if third, err = api.CancelUpload.Call(ctx, c, runapi.ID(third.ID)); err != nil || third.Status != "canceled" || !third.Ended() {
			t.Errorf("%+v %v", third, err)
		}
		fourth, err := c.Upload(ctx, apiclient.UploadFile{Name: "z.csv", Confirm: true}, strings.NewReader("a,b\n1,2\n"))
		if err != nil || fourth.Status != "needs_mapping" || fourth.Failure.Code != "no_email_column" || len(fourth.Columns) != 2 {
			t.Errorf("%+v %v", fourth, err)
		}
	})
}

// hungUp is the answer to a client that has hung up.
type hungUp struct{ http.ResponseWriter }

func (hungUp) Write([]byte) (int, error) { return 0, errors.New("write: broken pipe") }

func TestAClientThatHangsUpIsNoFaultOfTheServer(t *testing.T) {
	w := newWorld(t)
	w.server.Route("GET /api/v1/test", func(rw http.ResponseWriter, r *http.Request) error {
		return w.server.Download(hungUp{rw}, r, "x.csv", func(to *door.Streamer) error {
			_, err := to.Write(bytes.Repeat([]byte("x"), 1<<20))
			return err
		})
	})
	func() {
		defer func() {
			if fault := recover(); fault != http.ErrAbortHandler {
				t.Errorf("the answer ended with %v", fault)
			}
		}()
		w.call("GET", "/api/v1/test", "")
	}()
	if text := w.log.String(); strings.Contains(text, "level=ERROR") || strings.Contains(text, "broken pipe") {
		t.Errorf("the log tells of a fault: %s", text)
	}
}

func TestAnExportThatFailsIsNeverMistakenForAWholeOne(t *testing.T) {
	w := newWorld(t)
	fault := errors.New("the disk is gone")
	for size, wholeProblem := range map[int]bool{1: true, 1 << 20: false} {
		w.server.Route(fmt.Sprintf("GET /api/v1/test%d", size), func(rw http.ResponseWriter, r *http.Request) error {
			return w.server.Download(rw, r, "x.csv", func(to *door.Streamer) error {
				_, _ = to.Write(bytes.Repeat([]byte("x"), size))
				return fault
			})
		})
		func() {
			defer func() {
				if cut := recover() == http.ErrAbortHandler; cut == wholeProblem {
					t.Errorf("%d bytes: cut off %v", size, cut)
				}
			}()
			rec := w.call("GET", fmt.Sprintf("/api/v1/test%d", size), "")
			w.wantProblem(rec, 500, "internal")
		}()
	}
	rec := w.call("GET", "/api/v1/subscribers/export", "")
	if rec.Header().Get("Content-Disposition") != `attachment; filename="subscribers.csv"` ||
		rec.Header().Get("Content-Type") != "text/csv; charset=utf-8" {
		t.Errorf("%v", rec.Header())
	}
}

func TestWhatAFileSaysOfWhoLeftIsASwitchAndCanBeUndone(t *testing.T) {
	w := newWorld(t)
	ctx, c := t.Context(), w.client()
	const file = "email,Status,joined at\nann@gmail.com,cleaned,2026-01-02\nbob@gmail.com,subscribed,soon\ncy@gmial.com,,\n"
	off, err := c.Upload(ctx, apiclient.UploadFile{Name: "a.csv", Standing: "ignore"}, strings.NewReader(file))
	w.must(err)
	left := []api.ColumnNote{{Column: "Status", Rows: 1, First: 1}}
	if !off.IgnoreStanding || off.Counts.Unsubscribed != 0 || off.Counts.New != 2 || !slices.Equal(off.Standing, left) ||
		!slices.Equal(off.Unread, []api.ColumnNote{{Column: "joined at", Rows: 1, First: 2}}) ||
		!slices.Equal(off.Typos, []api.TypoNote{{Domain: "gmial.com", Meant: "gmail.com", Rows: 1}}) {
		t.Errorf("%+v", off)
	}
	// Another mapping leaves the switch as it is.
	same, err := api.MapUpload.Call(ctx, c, runapi.To(off.ID, api.MapUploadRequest{Mapping: map[string]string{"joined at": "ignore"}}))
	if err != nil || !same.IgnoreStanding || len(same.Unread) != 0 {
		t.Errorf("%+v %v", same, err)
	}
	on, err := api.MapUpload.Call(ctx, c, runapi.To(off.ID, api.MapUploadRequest{Standing: "believe"}))
	if err != nil || on.IgnoreStanding || on.Counts.Unsubscribed != 1 || !slices.Equal(on.Standing, left) {
		t.Errorf("%+v %v", on, err)
	}
	_, err = c.Upload(ctx, apiclient.UploadFile{Name: "a.csv", Standing: "perhaps"}, strings.NewReader(file))
	wantCode(t, err, 422, "invalid_field")
	_, err = api.ResubscribeUpload.Call(ctx, c, runapi.To("upl_01890000-0000-7000-8000-000000000000", &api.StandingRequest{}))
	wantCode(t, err, 404, "not_found")
	_, err = api.ConfirmUpload.Call(ctx, c, api.ConfirmUploadRequest{IDPath: runapi.ID(on.ID)})
	w.must(err)
	_, err = api.ResubscribeUpload.Call(ctx, c, runapi.To(on.ID, &api.StandingRequest{}))
	wantCode(t, err, 409, "state")
	stop := w.run()
	defer stop()
	for u, err := range c.WatchUpload(ctx, on.ID, time.Millisecond) {
		w.must(err)
		on = u
		if u.Status != "importing" {
			break
		}
	}
	shown, err := api.GetUpload.Call(ctx, c, runapi.ID(on.ID))
	if err != nil || shown.Marked == nil || *shown.Marked != 1 {
		t.Errorf("%+v %v", shown, err)
	}
	undone, err := api.ResubscribeUpload.Call(ctx, c, runapi.To(on.ID, &api.StandingRequest{Reason: "it meant the fax"}))
	if err != nil || undone.Rows != 1 || undone.UploadID != on.ID {
		t.Errorf("%+v %v", undone, err)
	}
	ann, err := api.GetSubscriber.Call(ctx, c, runapi.ID("ann@gmail.com"))
	if err != nil || !ann.Subscribed || ann.EnrichmentStatus != "none" {
		t.Errorf("%+v %v", ann, err)
	}
	if again, err := api.ResubscribeUpload.Call(ctx, c, runapi.To(on.ID, &api.StandingRequest{})); err != nil || again.Rows != 0 {
		t.Errorf("%+v %v", again, err)
	}
}
