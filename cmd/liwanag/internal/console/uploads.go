package console

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/apiclient"
	"github.com/liwanag/liwanag/workflow/runapi"
)

func (c *Console) registerUploads() {
	c.handle("GET /uploads", func(v *visit) error { return c.uploads(v, nil) })
	c.handle("POST /uploads", c.upload)
	c.handle("GET /uploads/{id}", func(v *visit) error { return c.oneUpload(v, nil) })
	c.handle("POST /uploads/{id}/mapping", c.mapUpload)
	c.handle("POST /uploads/{id}/resubscribe", func(v *visit) error {
		id := v.PathValue("id")
		now, err := api.ResubscribeUpload.Call(v.Context(), v.api, runapi.To(id, &api.StandingRequest{Reason: v.FormValue("reason")}))
		if err != nil {
			return c.oneUpload(v, err)
		}
		back := capital(plural(int64(now.Rows), "person is", "people are"))
		return v.goTo(under("/uploads", id), back+" subscribed again. Nobody was looked up.")
	})
	for name, act := range map[string]struct {
		done string
		do   func(v *visit, id string) (api.Upload, error)
	}{
		"confirm": {"The import has begun.", func(v *visit, id string) (api.Upload, error) {
			return api.ConfirmUpload.Call(v.Context(), v.api, api.ConfirmUploadRequest{IDPath: runapi.ID(id),
				UploadCap: api.UploadCap{Cap: strings.TrimSpace(v.FormValue("cap"))}})
		}},
		"cancel": {"Nothing more is imported.", func(v *visit, id string) (api.Upload, error) {
			return api.CancelUpload.Call(v.Context(), v.api, runapi.ID(id))
		}},
	} {
		c.handle("POST /uploads/{id}/"+name, func(v *visit) error {
			id := v.PathValue("id")
			if _, err := act.do(v, id); err != nil {
				return c.oneUpload(v, err)
			}
			return v.goTo(under("/uploads", id), act.done)
		})
	}
}

// uploadsView is what the list of uploads shows.
type uploadsView struct {
	*visit
	List runapi.List[api.Upload]
}

func (c *Console) uploads(v *visit, fault error) error {
	list, err := api.ListUploads.Call(v.Context(), v.api, api.UploadQuery{Paging: v.page()})
	if err != nil {
		return err
	}
	return v.showOr(fault, frame{Title: "Uploads", Nav: "/uploads", Here: "/uploads"}, uploadsPage(uploadsView{v, list}))
}

const maxUploadSource = 1000 // bytes of the form's field

// upload streams a file to the API as the browser sends it.
func (c *Console) upload(v *visit) error {
	form, err := v.MultipartReader()
	if err != nil {
		return &apiclient.Problem{Problem: api.Problem{Status: http.StatusUnsupportedMediaType,
			Code: "unsupported_media_type", Detail: "choose a file"}}
	}
	file := apiclient.UploadFile{}
	for {
		part, err := form.NextPart()
		if errors.Is(err, io.EOF) {
			return c.uploads(v, &apiclient.Problem{Problem: api.Problem{Status: http.StatusUnprocessableEntity,
				Code: "invalid_field", Detail: "no file was chosen"}})
		}
		if err != nil {
			return &apiclient.Problem{Problem: api.Problem{Status: http.StatusBadRequest, Code: "malformed",
				Detail: "the file did not come whole\n  Try: upload it again"}}
		}
		if part.FormName() == "source" {
			source, _ := io.ReadAll(io.LimitReader(part, maxUploadSource)) // an error shows with the next part
			file.Source = string(source)
			continue
		}
		if file.Name = part.FileName(); file.Name == "" {
			continue
		}
		up, err := v.api.Upload(v.Context(), file, part)
		if err != nil {
			return c.uploads(v, err)
		}
		if up.Status == "needs_mapping" {
			return v.goTo(under("/uploads", up.ID), "")
		}
		return v.goTo(under("/uploads", up.ID), "The file was read. Nothing is imported before you confirm.")
	}
}

// uploadView is what the page of an upload shows.
type uploadView struct {
	*visit
	Upload api.Upload
	Sample api.UploadSample
	People people
	Since  time.Time // when it was confirmed
}

func (c *Console) oneUpload(v *visit, fault error) error {
	id := v.PathValue("id")
	view := uploadView{visit: v}
	var err error
	if view.Upload, err = api.GetUpload.Call(v.Context(), v.api, runapi.ID(id)); err != nil {
		return err
	}
	if view.unread() {
		if view.Sample, err = api.GetUploadSample.Call(v.Context(), v.api, runapi.ID(id)); err != nil {
			return err
		}
	}
	if !view.unread() {
		if view.People, err = peopleOf(v, api.SubscriberFilter{UploadID: id}); err != nil {
			return err
		}
	}
	if view.moving() {
		if view.Since, err = confirmedAt(v, view.Upload); err != nil {
			return err
		}
	}
	title := firstOf(view.Upload.FileName, shortID(id))
	return v.showOr(fault, frame{Title: title, Nav: "/uploads", Here: under("/uploads", id),
		Crumbs: []crumb{{"Uploads", "/uploads"}}}, uploadPage(view))
}

// mappable are the fields a column can be taken for.
var mappable = []choice{{"email", "E-mail address"}, {"firstName", "First name"}, {"lastName", "Last name"}, {"fullName", "Full name"},
	{"companyName", "Company"}, {"companyDomain", "Company's domain"}, {"linkedinUrl", "LinkedIn address"}, {"source", "Source"}, {"tags", "Tags"},
	{"id", "External id"}, {"standing", "Whether they left"}, {"timestamp", "Time of the sign-up"}, {"metadata", "Metadata, under its name"},
	{"metadataObject", "Metadata, a JSON object"}, {"ignore", "Leave it out"}}

func (c *Console) mapUpload(v *visit) error {
	if err := v.form(); err != nil {
		return err
	}
	id := v.PathValue("id")
	columns, fields, encoding := v.PostForm["column"], v.PostForm["field"], v.PostForm.Get("encoding")
	if encoding != v.PostForm.Get("readAs") {
		columns = nil // they were read in another encoding, and may have other names in this one
	}
	mapping := map[string]string{}
	for i, column := range columns {
		if i < len(fields) {
			mapping[column] = fields[i]
		}
	}
	if _, err := api.MapUpload.Call(v.Context(), v.api,
		runapi.To(id, api.MapUploadRequest{Mapping: mapping, Encoding: encoding, Standing: v.PostForm.Get("standing")})); err != nil {
		return c.oneUpload(v, err)
	}
	return v.goTo(under("/uploads", id), "The file was read as you said.")
}

// unread says whether the file can still be read in another way.
func (v uploadView) unread() bool {
	return v.Upload.Status == "previewed" || v.Upload.Status == "needs_mapping"
}

// encodings are those to choose from: what the file may be first.
func (v uploadView) encodings() (all []choice) {
	for _, e := range v.Sample.Encodings {
		text := e.Name
		if len(e.Values) > 0 {
			text += ": " + strings.Join(e.Values, ", ")
		}
		all = append(all, choice{e.Name, text})
	}
	for _, name := range []string{"UTF-8", "windows-1252", "windows-1250", "windows-1251", "windows-1253", "windows-1254", "windows-1257",
		"macintosh", "KOI8-R", "IBM850", "IBM866", "Shift_JIS", "EUC-JP", "GB18030", "EUC-KR", "Big5"} {
		all = withValue(all, name)
	}
	return all
}

// moving says whether the upload is on its way.
func (v uploadView) moving() bool {
	return v.Upload.Status == "importing" || v.Upload.Status == "enriching"
}

// every asks for the page again more often while rows move.
func (v uploadView) every() string {
	if v.moving() {
		return "2000"
	}
	return ""
}

// confirmedAt is when somebody confirmed an upload, as the audit trail has it; for whom
// may not read that, when it came.
func confirmedAt(v *visit, up api.Upload) (time.Time, error) {
	if !v.may(api.ListActs.Scope) {
		return up.CreatedAt, nil
	}
	acts, err := api.ListActs.Call(v.Context(), v.api,
		api.ActQuery{ActFilter: api.ActFilter{Subject: up.ID, Act: "upload.confirm"}, Paging: runapi.Paging{Limit: 1}})
	if err != nil || len(acts.Items) == 0 {
		return up.CreatedAt, err
	}
	return acts.Items[0].At, nil
}

// timeLeft estimates how long the rest takes, by how long the lookups took that are
// answered; empty when there is nothing to go by.
func (v uploadView) timeLeft() string {
	done, all, took := v.answered(), v.wanted(), v.now.Sub(v.Since)
	if !v.moving() || done == 0 || done >= all || took <= 0 {
		return ""
	}
	return "About " + coarse(time.Duration(float64(took)*float64(all-done)/float64(done))) + " left, as fast as it went so far."
}

// wanted is how many lookups the upload ordered. At its end that is known: what was not
// looked up after all has no answer to wait for.
func (v uploadView) wanted() int64 {
	if v.Upload.Ended() {
		return v.answered()
	}
	return max(v.Upload.Counts.New, v.answered())
}

// read is how many of its rows were read; at its end all of them.
func (v uploadView) read() int64 {
	if v.Upload.Status == "done" {
		return v.Upload.Counts.Rows
	}
	return v.Upload.Progress.Rows
}

// cost is what it cost, once it is known, else what it may.
func (v uploadView) cost() (credits int64, note string) {
	if v.Upload.Credits != nil {
		return *v.Upload.Credits, "spent"
	}
	return v.Upload.EstimatedCredits, "at most"
}

func (v uploadView) answered() int64 {
	p := v.Upload.Progress
	return p.Enriched + p.NotFound + p.Failed
}

// rowsIn is how many rows become or update somebody.
func (v uploadView) rowsIn() int64 {
	return v.Upload.Counts.Rows - v.Upload.Counts.Invalid - v.Upload.Counts.Duplicate
}

// errorsFile is the file of the rows that failed and why.
func (v uploadView) errorsFile() string {
	return (&url.URL{Path: "/api/v1/uploads/" + v.Upload.ID + "/errors.csv"}).String()
}

// noted says whether a preview has more to say than its counts.
func (v uploadView) noted() bool {
	u := v.Upload
	return u.Changes.People > 0 || len(u.Standing)+len(u.Unread)+len(u.Typos) > 0
}

// believed says what becomes of who left as the file says.
func believed(u api.Upload) string {
	if u.IgnoreStanding {
		return ", which is not believed."
	}
	return ": they are stored as unsubscribed."
}

// marked is how many people are away because the file says so, and can come back.
func (v uploadView) marked() int64 {
	if v.Upload.Marked == nil || v.Upload.Status == "importing" {
		return 0
	}
	return *v.Upload.Marked
}

// estimate is what it costs at most.
func estimate(u api.Upload) string {
	return plural(u.EstimatedCredits, "credit", "credits") + " at most"
}

// newNote says what becomes of new people.
func (v uploadView) newNote() string {
	if v.Upload.Ended() {
		return "came in for the first time"
	}
	return "looked up: " + estimate(v.Upload)
}
