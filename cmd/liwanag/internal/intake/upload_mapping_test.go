package intake

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

func TestASampleShowsTheFirstRowsAsTheFileHasThem(t *testing.T) {
	store, _ := openStore(t)
	u := newUploads(t, store, &enroller{}, Config{})
	var file strings.Builder
	file.WriteString("Name,Mail\n\"Ann, A.\",ann@gmail.com\nBen\nCid,nobody,extra\n")
	for i := range 30 {
		fmt.Fprintf(&file, "P%d,p%d@gmail.com\n", i, i)
	}
	up := create(t, u, file.String())
	rows, err := u.Sample(t.Context(), up.ID)
	if err != nil || len(rows) != 20 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	if d := cmp.Diff([]string{"Ann, A.", "ann@gmail.com"}, rows[0].Cells); d != "" || rows[0].Fault != nil {
		t.Error(d, rows[0].Fault)
	}
	if d := cmp.Diff([]string{"Ben", ""}, rows[1].Cells); d != "" || rows[1].Fault == nil || rows[1].Fault.Code != "invalid_email" {
		t.Error(d, rows[1].Fault)
	}
	if rows[2].Fault == nil || rows[2].Fault.Code != "too_many_columns" {
		t.Error(rows[2].Fault)
	}
	importAll(t, u, up.ID)
	if rows, err := u.Sample(t.Context(), up.ID); err != nil || len(rows) != 0 {
		t.Errorf("the file is forgotten after the import, and shows %d rows (%v)", len(rows), err)
	}
}

func TestAnotherMappingCountsTheFileAnew(t *testing.T) {
	store, _ := openStore(t)
	u := newUploads(t, store, &enroller{}, Config{})
	up := create(t, u, "email,Contact\nno address,ann@gmail.com\nneither,ann@gmail.com\nold@gmail.com,ben@company.example\n")
	if want := (liwanag.UploadCounts{Rows: 3, New: 1, Invalid: 2}); up.Counts != want {
		t.Fatalf("%+v", up.Counts)
	}
	remapped, err := u.Remap(t.Context(), up.ID, Reading{Mapping: map[string]Field{"Contact": FieldEmail, "email": FieldIgnore}})
	if err != nil {
		t.Fatal(err)
	}
	if want := (liwanag.UploadCounts{Rows: 3, New: 1, Duplicate: 1, Corporate: 1}); remapped.Counts != want || remapped.Size != up.Size {
		t.Errorf("%+v", remapped.Upload)
	}
	if faults, err := store.Uploads.Errors(t.Context(), up.ID, 0, 10); err != nil || len(faults) != 0 {
		t.Errorf("faults of the earlier reading are left: %+v, %v", faults, err)
	}
	importAll(t, u, up.ID)
	if _, err := store.Subscribers.ByEmail(t.Context(), "ann@gmail.com"); err != nil {
		t.Error(err)
	}
	if _, err := u.Remap(t.Context(), up.ID, Reading{}); !errors.Is(err, liwanag.ErrState) {
		t.Errorf("an imported upload was read in another way: %v", err)
	}
}

func TestAFileOfInvalidRowsAloneNeedsAMapping(t *testing.T) {
	store, _ := openStore(t)
	now := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	u := newUploads(t, store, &enroller{}, Config{Now: func() time.Time { return now }})
	up := create(t, u, "email,Contact\nAnn,ann@gmail.com\nBen,ben@gmail.com\n")
	if up.Status != liwanag.UploadNeedsMapping || up.Failure.Code != CodeNoValidRows || up.Counts.Invalid != 2 || !up.EndedAt.IsZero() {
		t.Fatalf("%+v", up.Upload)
	}
	if _, err := u.Confirm(t.Context(), up.ID, nil); !errors.Is(err, liwanag.ErrState) ||
		!strings.Contains(err.Error(), "which column holds the addresses") {
		t.Errorf("confirmed: %v", err)
	}
	if rows, err := u.Sample(t.Context(), up.ID); err != nil || len(rows) != 2 {
		t.Errorf("%d rows of its sample, %v", len(rows), err)
	}
	mapped, err := u.Remap(t.Context(), up.ID, Reading{Mapping: map[string]Field{"Contact": FieldEmail}})
	if err != nil || mapped.Status != liwanag.UploadPreviewed || mapped.Failure.Code != "" || mapped.Counts.New != 2 {
		t.Fatalf("%+v, %v", mapped.Upload, err)
	}
	worse, err := u.Remap(t.Context(), up.ID, Reading{Mapping: map[string]Field{"email": FieldEmail}})
	if err != nil || worse.Status != liwanag.UploadNeedsMapping {
		t.Errorf("%+v, %v", worse.Upload, err)
	}
	for _, after := range []struct {
		time.Duration
		want liwanag.UploadStatus
	}{{23 * time.Hour, liwanag.UploadNeedsMapping}, {2 * time.Hour, liwanag.UploadCanceled}} {
		now = now.Add(after.Duration)
		if err := u.Retain(t.Context(), now.Add(-720*time.Hour)); err != nil {
			t.Fatal(err)
		}
		if again, err := u.Get(t.Context(), up.ID); err != nil || again.Status != after.want {
			t.Errorf("%+v, %v", again.Upload, err)
		}
	}
}

func TestAFileWithoutAnAddressColumnNeedsAMapping(t *testing.T) {
	store, _ := openStore(t)
	u := newUploads(t, store, &enroller{}, Config{})
	for name, c := range map[string]struct {
		file    string
		given   map[string]Field
		columns []string
		field   string // that holds what turns out to be the addresses
	}{
		"known names":   {"name,city\nAnn,Paris\n", nil, []string{"name", "city"}, "city"},
		"semicolons":    {"sep=;\nVorname;Ort, Land\nAnn;Köln\n", nil, []string{"Vorname", "Ort, Land"}, "Ort, Land"},
		"a title first": {"Our list\n\nfirst\tsecond\n1\t2\n", nil, []string{"first", "second"}, "second"},
		"one column":    {"people\nann\nben\n", nil, []string{"people"}, "people"},
		"told so":       {"email,note\nann@gmail.com,x\n", map[string]Field{"email": FieldIgnore}, []string{"email", "note"}, "email"},
		"told so, without a header": {"ann@gmail.com,x\nben@gmail.com,y\n", map[string]Field{"column_1": FieldMetadata},
			[]string{"column_1", "column_2"}, "column_1"},
	} {
		up, err := u.Create(t.Context(), strings.NewReader(c.file), UploadRequest{Mapping: c.given})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if up.Status != liwanag.UploadNeedsMapping || up.Failure.Code != CodeNoEmailColumn || up.Counts.Rows == 0 ||
			up.Counts.Invalid != up.Counts.Rows || cmp.Diff(c.columns, up.Columns) != "" {
			t.Errorf("%s: %+v", name, up.Upload)
		}
		if rows, err := u.Sample(t.Context(), up.ID); err != nil || len(rows) != int(up.Counts.Rows) {
			t.Errorf("%s: %d rows of its sample, %v", name, len(rows), err)
		}
		mapped, err := u.Remap(t.Context(), up.ID, Reading{Mapping: map[string]Field{c.field: FieldEmail}})
		if err != nil || mapped.Failure.Code == CodeNoEmailColumn || mapped.Counts.Rows != up.Counts.Rows ||
			cmp.Diff(c.columns, mapped.Columns) != "" {
			t.Errorf("%s, mapped: %+v, %v", name, mapped.Upload, err)
		}
	}
}

func TestAMappingThatDoesNotFitChangesNothing(t *testing.T) {
	store, _ := openStore(t)
	u := newUploads(t, store, &enroller{}, Config{})
	up := create(t, u, "email,note\nann@gmail.com,x\nbad,y\n")
	for _, mapping := range []map[string]Field{{"nowhere": FieldEmail}, {"note": "nothing"}} {
		var refused *FileError
		if _, err := u.Remap(t.Context(), up.ID, Reading{Mapping: mapping}); !errors.As(err, &refused) {
			t.Errorf("%v: %v", mapping, err)
		}
	}
	if again, err := u.Get(t.Context(), up.ID); err != nil || again.Counts != up.Counts {
		t.Errorf("%+v, %v", again, err)
	}
	if faults, err := store.Uploads.Errors(t.Context(), up.ID, 0, 10); err != nil || len(faults) != 1 {
		t.Errorf("%+v, %v", faults, err)
	}
}
