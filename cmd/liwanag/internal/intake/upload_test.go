package intake

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

func newUploads(t testing.TB, store *datastore.Store, e *enroller, cfg Config) *Uploads {
	t.Helper()
	cfg.Logger = quiet()
	if cfg.Node == "" {
		cfg.Node = "alone" // on its database: the next start has the same name
	}
	u, err := NewUploads(store, e, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func create(t testing.TB, u *Uploads, file string) UploadView {
	t.Helper()
	view, err := u.Create(t.Context(), strings.NewReader(file), UploadRequest{FileName: `C:\lists\people.csv`, Source: "import"})
	if err != nil {
		t.Fatal(err)
	}
	return view
}

// importAll confirms and imports, as Run would.
func importAll(t testing.TB, u *Uploads, id liwanag.ID) UploadView {
	t.Helper()
	if _, err := u.Confirm(t.Context(), id, nil); err != nil {
		t.Fatal(err)
	}
	return carryOn(t, u, id)
}

func carryOn(t testing.TB, u *Uploads, id liwanag.ID) UploadView {
	t.Helper()
	if _, err := u.advance(t.Context()); err != nil {
		t.Fatal(err)
	}
	view, err := u.Get(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return view
}

func people(n int) string {
	var file strings.Builder
	file.WriteString("email,first name,city\n")
	for i := range n {
		fmt.Fprintf(&file, "p%d@gmail.com,Ann,Paris\n", i)
	}
	return file.String()
}

const mixed = "email,source,website\n" +
	"ann@gmail.com,blog,\n" + // new
	"known@gmail.com,,acme.example\n" + // known
	"ANN@gmail.com,,\n" + // duplicate
	"boss@acme.example,,\n" + // corporate
	"staff@known.example,,\n" + // corporate, though known
	"secret nobody,,\n" + // invalid
	"bob@gmail.com,\"oops,\n" + // invalid
	"eve@gmail.com,,not a domain\n" // new, the cell is kept as metadata

func TestTheInvalidRowsCanBeCorrectedAndUploadedAgain(t *testing.T) {
	store, _ := openStore(t)
	u := newUploads(t, store, &enroller{}, Config{Now: func() time.Time { return time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC) }})
	up := create(t, u, "Name;E-Mail;Note\n\"Lee; Ann\";ann@;=1+1\nBen;ben@gmail.com;\nCia;;x;y\n")
	var out bytes.Buffer
	if err := u.WriteErrors(t.Context(), up.ID, &out); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(out.String(), `"row","line","code","field","reason","Name","E-Mail","Note"`) {
		t.Errorf("%s", out.String())
	}
	again := create(t, u, strings.ReplaceAll(out.String(), "ann@", "ann@gmail.com"))
	if again.Counts.New != 1 || again.Counts.Invalid != 1 {
		t.Errorf("%+v", again.Counts)
	}
	importAll(t, u, again.ID)
	if p, err := store.Subscribers.ByEmail(t.Context(), "ann@gmail.com"); err != nil || p.Summary.FullName != "Lee; Ann" ||
		string(p.Metadata) != `{"Note":"=1+1"}` {
		t.Errorf("%+v %s, %v", p.Summary, p.Metadata, err)
	}
	if err := u.Retain(t.Context(), time.Date(2026, 12, 30, 0, 0, 0, 0, time.UTC)); err != nil {
		t.Fatal(err)
	}
	if left, err := store.Uploads.Errors(t.Context(), up.ID, 0, 10); err != nil || len(left) != 0 {
		t.Errorf("rows of a file that is forgotten are kept: %+v, %v", left, err)
	}
}

func TestFirstAndLastNameOfAFileMakeTheFullName(t *testing.T) {
	store, _ := openStore(t)
	u := newUploads(t, store, &enroller{}, Config{})
	importAll(t, u, create(t, u, "E-Mail;Vorname;Name\nuwe@gmx.de;Jürgen;Groß\n").ID)
	p, err := store.Subscribers.ByEmail(t.Context(), "uwe@gmx.de")
	if err != nil || p.Summary.FullName != "Jürgen Groß" || p.Summary.LastName != "Groß" {
		t.Errorf("%+v, %v", p.Summary, err)
	}
}

func TestEachRowCountsOnce(t *testing.T) {
	for policy, want := range map[Policy]liwanag.UploadCounts{
		EnrichPersonal: {Rows: 8, New: 2, Known: 1, Duplicate: 1, Corporate: 2, Invalid: 2},
		EnrichAll:      {Rows: 8, New: 3, Known: 2, Duplicate: 1, Invalid: 2},
	} {
		store, _ := openStore(t)
		e := &enroller{}
		add(t, newSignUps(t, store, e, Config{}), SignUp{Email: "known@gmail.com"}, SignUp{Email: "staff@known.example"})
		u := newUploads(t, store, e, Config{Enrich: policy})
		preview := create(t, u, mixed)
		if d := cmp.Diff(want, preview.Counts); d != "" || preview.EstimatedCredits != want.New {
			t.Errorf("%s: preview %s", policy, d)
		}
		view := importAll(t, u, preview.ID)
		if d := cmp.Diff(want, view.Counts); d != "" || view.Progress.Imported != want.New || view.Position != 8 {
			t.Errorf("%s: imported %s %+v", policy, d, view)
		}
		for email, personal := range map[string]bool{"ann@gmail.com": true, "eve@gmail.com": true, "known@gmail.com": true,
			"boss@acme.example": policy == EnrichAll} {
			person, err := store.Subscribers.ByEmail(t.Context(), email)
			if err != nil || len(jobsOf(t, store, person.ID)) != map[bool]int{true: 1}[personal] {
				t.Errorf("%s: %s: %+v, %v", policy, email, person, err)
			}
		}
		if eve, err := store.Subscribers.ByEmail(t.Context(), "eve@gmail.com"); err != nil ||
			string(eve.Metadata) != `{"companyDomain":"not a domain"}` {
			t.Errorf("%+v, %v", eve, err)
		}
		if known, err := store.Subscribers.ByEmail(t.Context(), "known@gmail.com"); err != nil || known.Summary.CompanyDomain != "acme.example" {
			t.Errorf("%+v, %v", known, err)
		}
	}
}

func TestInvalidRowsAreListedWithTheirCells(t *testing.T) {
	store, _ := openStore(t)
	u := newUploads(t, store, &enroller{}, Config{})
	preview := create(t, u, mixed)
	var out bytes.Buffer
	if err := u.WriteErrors(t.Context(), preview.ID, &out); err != nil {
		t.Fatal(err)
	}
	want := "\"row\",\"line\",\"code\",\"field\",\"reason\",\"email\",\"source\",\"website\"\r\n" +
		"\"6\",\"7\",\"invalid_email\",\"email\",\"the address contains a space\",\"secret nobody\",\"\",\"\"\r\n" +
		"\"7\",\"8\",\"broken_quotes\",\"\",\"a quoted field is not closed, or text follows its closing quote\",\"\",\"\",\"\"\r\n"
	if d := cmp.Diff(want, out.String()); d != "" {
		t.Error(d)
	}
	many := create(t, u, "email\n"+strings.Repeat("nope\n", 1234))
	out.Reset()
	if err := u.WriteErrors(t.Context(), many.ID, &out); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(out.String(), "\r\n"); n != 1235 || many.Counts.Invalid != 1234 {
		t.Errorf("%d lines, %+v", n, many.Counts)
	}
	if err := u.WriteErrors(t.Context(), liwanag.NewID(liwanag.UploadKind), &out); !errors.Is(err, liwanag.ErrNotFound) {
		t.Error(err)
	}
}

func TestCancelStopsAnImport(t *testing.T) {
	store, _ := openStore(t)
	e := &enroller{}
	u := newUploads(t, store, e, Config{})
	preview := create(t, u, people(1_000))
	faulty := newFaulty(store, 3)
	cut := newUploads(t, faulty.Store, e, Config{})
	if _, err := cut.Confirm(t.Context(), preview.ID, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := cut.advance(t.Context()); err == nil {
		t.Fatal("the import was not interrupted")
	}
	view, err := u.Cancel(t.Context(), preview.ID)
	if err != nil || view.Status != liwanag.UploadCanceled || view.EndedAt.IsZero() || view.Position == 0 || view.Position == 1_000 {
		t.Fatalf("%+v, %v", view, err)
	}
	if after := carryOn(t, u, preview.ID); after.Position != view.Position || after.Progress != view.Progress {
		t.Errorf("it went on: %+v", after)
	}
	if err := errors.Join(u.importRows(t.Context(), view.Upload), u.imported(t.Context(), view.Upload)); err != nil {
		t.Errorf("an import under way: %v", err)
	}
	if after := carryOn(t, u, preview.ID); after.Status != liwanag.UploadCanceled || after.Progress != view.Progress ||
		after.Counts != view.Counts {
		t.Errorf("it went on: %+v", after)
	}
	if _, err := store.Uploads.Chunk(t.Context(), preview.ID, 0); !errors.Is(err, liwanag.ErrNotFound) {
		t.Errorf("the file was kept: %v", err)
	}
}

func TestOnlyTheRightStateCanBeConfirmedOrCanceled(t *testing.T) {
	store, _ := openStore(t)
	u := newUploads(t, store, &enroller{}, Config{})
	nobody := liwanag.NewID(liwanag.UploadKind)
	if _, err := u.Confirm(t.Context(), nobody, nil); !errors.Is(err, liwanag.ErrNotFound) {
		t.Error(err)
	}
	if _, err := u.Cancel(t.Context(), nobody); !errors.Is(err, liwanag.ErrNotFound) {
		t.Error(err)
	}
	id := create(t, u, people(1)).ID
	importAll(t, u, id)
	if _, err := u.Confirm(t.Context(), id, nil); !errors.Is(err, liwanag.ErrState) || !strings.Contains(err.Error(), "enriching") {
		t.Error(err)
	}
	if _, err := u.Cancel(t.Context(), id); err != nil {
		t.Error(err)
	}
	if _, err := u.Cancel(t.Context(), id); !errors.Is(err, liwanag.ErrState) {
		t.Error(err)
	}
	if _, err := u.Confirm(t.Context(), id, nil); !errors.Is(err, liwanag.ErrState) {
		t.Error(err)
	}
}

func TestAnUploadThatIsNeverConfirmedLosesItsFileInTheEnd(t *testing.T) {
	store, _ := openStore(t)
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	u := newUploads(t, store, &enroller{}, Config{Now: func() time.Time { return now }})
	confirmed, forgotten := create(t, u, people(3)), create(t, u, people(3))
	if _, err := u.Confirm(t.Context(), confirmed.ID, nil); err != nil {
		t.Fatal(err)
	}
	now = now.Add(time.Hour)
	young := create(t, u, people(3))
	if err := u.Retain(t.Context(), now); err != nil {
		t.Fatal(err)
	}
	for id, want := range map[liwanag.ID]liwanag.UploadStatus{confirmed.ID: liwanag.UploadImporting,
		forgotten.ID: liwanag.UploadCanceled, young.ID: liwanag.UploadPreviewed} {
		got, err := u.Get(t.Context(), id)
		if err != nil || got.Status != want || (got.Failure.Code == CodeExpired) != (want == liwanag.UploadCanceled) {
			t.Errorf("%s %+v, want %s: %v", got.Status, got.Failure, want, err)
		}
		_, err = store.Uploads.Chunk(t.Context(), id, 0)
		if kept := err == nil; kept == (want == liwanag.UploadCanceled) {
			t.Errorf("the file of the %s upload: %v", want, err)
		}
	}
	if carryOn(t, u, confirmed.ID).Status != liwanag.UploadEnriching {
		t.Error("the confirmed upload was not imported")
	}
}

func TestTheFileOfACancelThatDiedHalfWayIsForgotten(t *testing.T) {
	store, _ := openStore(t)
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	faulty := newFaulty(store, 1000)
	u := newUploads(t, faulty.Store, &enroller{}, Config{Now: func() time.Time { return now }})
	id := create(t, u, people(3)).ID
	faulty.left.Store(1) // the process ends between the two transactions
	if _, err := u.Cancel(t.Context(), id); !errors.Is(err, liwanag.ErrDatabase) {
		t.Fatal(err)
	}
	faulty.left.Store(1000)
	if err := u.Retain(t.Context(), now.Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Uploads.Chunk(t.Context(), id, 0); !errors.Is(err, liwanag.ErrNotFound) {
		t.Errorf("the file was kept: %v", err)
	}
}

func TestARefusedFileLeavesNothingBehind(t *testing.T) {
	store, _ := openStore(t)
	u := newUploads(t, store, &enroller{}, Config{})
	for want, file := range map[string]string{
		"not_text":    "PK\x03\x04" + strings.Repeat("x", 1<<20),
		"empty_file":  "",
		"no_rows":     "email,name\n" + strings.Repeat(",\n", 400_000), // refused when it is stored already
		"bad_mapping": "email\nann@gmail.com\n",
	} {
		mapping := map[string]Field{"email": FieldEmail, "name": FieldFullName}
		_, err := u.Create(t.Context(), strings.NewReader(file), UploadRequest{Mapping: mapping})
		if liwanag.ClassOf(err) != liwanag.Invalid || liwanag.CodeOf(err) != want {
			t.Errorf("%s: %v", want, err)
		}
	}
	if all, _, err := store.Uploads.List(t.Context(), liwanag.Page{}); err != nil || len(all) != 0 {
		t.Errorf("%+v, %v", all, err)
	}
}

func TestATransferThatWasCutOffLeavesAFailedUploadAndNoFile(t *testing.T) {
	store, _ := openStore(t)
	u := newUploads(t, store, &enroller{}, Config{})
	broken := errors.New("connection reset")
	_, err := u.Create(t.Context(), io.MultiReader(strings.NewReader(people(50_000)), iotest.ErrReader(broken)), UploadRequest{})
	if !errors.Is(err, broken) {
		t.Error(err)
	}
	all, _, err := store.Uploads.List(t.Context(), liwanag.Page{})
	if err != nil || len(all) != 1 || all[0].Status != liwanag.UploadFailed || all[0].Failure.Code != CodeIncomplete {
		t.Fatalf("%+v, %v", all, err)
	}
	if _, err := store.Uploads.Chunk(t.Context(), all[0].ID, 0); !errors.Is(err, liwanag.ErrNotFound) {
		t.Errorf("the file was kept: %v", err)
	}
	if _, err := u.Confirm(t.Context(), all[0].ID, nil); !errors.Is(err, liwanag.ErrState) {
		t.Errorf("an incomplete upload was confirmed: %v", err)
	}
}

func TestTheMappingOfThePreviewHoldsForTheImport(t *testing.T) {
	store, _ := openStore(t)
	u := newUploads(t, store, &enroller{}, Config{})
	file := "email,,Contact,note,note\nold@gmail.com,x,ann@gmail.com,1,2\n"
	preview, err := u.Create(t.Context(), strings.NewReader(file),
		UploadRequest{Mapping: map[string]Field{"Contact": FieldEmail, "email": FieldIgnore}})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"email", "", "Contact", "note", "note_2"}, preview.Columns); d != "" {
		t.Error(d)
	}
	importAll(t, u, preview.ID)
	person, err := store.Subscribers.ByEmail(t.Context(), "ann@gmail.com")
	if err != nil || string(person.Metadata) != `{"note":"1","note_2":"2"}` {
		t.Errorf("%+v, %v", person, err)
	}
}

func TestUploadsAreListedNewestFirst(t *testing.T) {
	store, _ := openStore(t)
	u := newUploads(t, store, &enroller{}, Config{})
	first, second := create(t, u, people(3)), create(t, u, people(1))
	importAll(t, u, first.ID)
	all, _, err := u.List(t.Context(), liwanag.Page{})
	if err != nil || len(all) != 2 || all[0].ID != second.ID || all[1].ID != first.ID || all[1].Progress.Imported != 3 ||
		all[0].EstimatedCredits != 1 {
		t.Errorf("%+v, %v", all, err)
	}
}

func TestFileNamesAreTheirLastElement(t *testing.T) {
	for name, want := range map[string]string{"": "", "/": "", "..": "..", "a.csv": "a.csv", "/etc/a.csv": "a.csv", `C:\x\a.csv`: "a.csv",
		"a\n\x00b.csv": "a b.csv", strings.Repeat("é", 150): strings.Repeat("é", 100)} {
		if got := fileName(name); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}
