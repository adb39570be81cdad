package console

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/apiclient"
	"github.com/liwanag/liwanag/workflow/runapi"
)

func (c *Console) registerUploads() {
	c.handle("GET /uploads", func(v *visit) error { return c.uploads(v, nil) })
	c.handle("POST /uploads", c.upload)
	c.handle("GET /uploads/{id}", func(v *visit) error { return c.oneUpload(v, nil) })
	c.handle("POST /uploads/{id}/mapping", c.mapUpload)
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
	title := firstOf(view.Upload.FileName, shortID(id))
	return v.showOr(fault, frame{Title: title, Nav: "/uploads", Here: under("/uploads", id),
		Crumbs: []crumb{{"Uploads", "/uploads"}}}, uploadPage(view))
}

// mappable are the fields a column can be taken for.
var mappable = []choice{{"email", "E-mail address"}, {"firstName", "First name"}, {"lastName", "Last name"}, {"fullName", "Full name"},
	{"companyName", "Company"}, {"companyDomain", "Company's domain"}, {"linkedinUrl", "LinkedIn address"}, {"source", "Source"}, {"tags", "Tags"},
	{"id", "External id"}, {"timestamp", "Time of the sign-up"}, {"metadata", "Metadata, under its name"},
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
		runapi.To(id, api.MapUploadRequest{Mapping: mapping, Encoding: encoding})); err != nil {
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

// wanted is how many lookups the upload ordered.
func (v uploadView) wanted() int64 { return max(v.Upload.Counts.New, v.answered()) }

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

// estimate is what it costs at most.
func estimate(u api.Upload) string {
	return plural(u.EstimatedCredits, "credit", "credits") + " at most"
}
