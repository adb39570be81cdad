package console

import (
	"strings"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/workflow/runapi"
)

func (c *Console) registerSubmissions() {
	c.handle("GET /submissions", c.submissions)
	c.handle("GET /submissions/{id}", func(v *visit) error { return c.submission(v, nil) })
	for name, act := range map[string]struct {
		done string
		do   func(v *visit, id string) error
	}{
		"adopt": {"The submission has its enrichment id; the result is fetched.", func(v *visit, id string) error {
			_, err := api.AdoptSubmission.Call(v.Context(), v.api,
				runapi.To(id, api.AdoptSubmissionRequest{EnrichmentID: strings.TrimSpace(v.PostForm.Get("enrichmentId"))}))
			return err
		}},
		"resubmit": {"The submission is sent once more.", func(v *visit, id string) error {
			_, err := api.ResubmitSubmission.Call(v.Context(), v.api, runapi.To(id, &api.Reason{Reason: v.PostForm.Get("reason")}))
			return err
		}},
		"fail": {"The submission was given up; its lookups failed.", func(v *visit, id string) error {
			_, err := api.FailSubmission.Call(v.Context(), v.api, runapi.To(id, &api.Reason{Reason: v.PostForm.Get("reason")}))
			return err
		}},
	} {
		c.handle("POST /submissions/{id}/"+name, func(v *visit) error {
			if err := v.form(); err != nil {
				return err
			}
			id := v.PathValue("id")
			if err := act.do(v, id); err != nil {
				return c.submission(v, err)
			}
			return v.goTo(under("/submissions", id), act.done)
		})
	}
}

var submissionStates = []string{"prepared", "sending", "accepted", "refused", "ambiguous", "held", "superseded", "settled"}

// submissionWords say what a state means.
var submissionWords = map[string]string{
	"prepared":   "Its credits are reserved; nothing was sent yet.",
	"sending":    "The call is under way.",
	"accepted":   "FullEnrich took it and works on it; its result comes by webhook, or is fetched.",
	"refused":    "FullEnrich said no, or was never reached: nothing was ordered, nothing is paid.",
	"ambiguous":  "The answer was lost. Either a webhook tells what became of it, or it is decided when its grace is over.",
	"held":       "Nobody knows whether FullEnrich took it, and nothing is sent again by itself. Look for its name in FullEnrich's dashboard, and decide.",
	"superseded": "Another submission was sent in its place.",
	"settled":    "Its result was applied.",
}

// submissionsView is what the list of paid calls shows.
type submissionsView struct {
	*visit
	List    runapi.List[api.Submission]
	Credits api.Credits
}

func (c *Console) submissions(v *visit) error {
	view := submissionsView{visit: v}
	var err error
	if view.List, err = api.ListSubmissions.Call(v.Context(), v.api,
		api.SubmissionQuery{SubmissionFilter: api.SubmissionFilter{State: v.param("state"), RunID: v.param("runId")},
			Paging: v.page()}); err != nil {
		return err
	}
	if view.Credits, err = api.GetCredits.Call(v.Context(), v.api, runapi.NoInput{}); err != nil {
		return err
	}
	return v.show(200, frame{Title: "Paid calls", Nav: "/submissions"}, submissionsPage(view))
}

// submissionView is what the page of a paid call shows.
type submissionView struct {
	*visit
	Submission api.Submission
	Why        api.Why
}

func (v submissionView) doubtful() bool {
	return v.Submission.State == "ambiguous" || v.Submission.State == "held"
}

func (c *Console) submission(v *visit, fault error) error {
	id := v.PathValue("id")
	s, err := api.GetSubmission.Call(v.Context(), v.api, runapi.ID(id))
	if err != nil {
		return err
	}
	why, err := whyOf(v, api.WhySubmission, id)
	if err != nil {
		return err
	}
	return v.showOr(fault, frame{Title: shortID(s.ID), Nav: "/submissions", Here: under("/submissions", id),
		Crumbs: []crumb{{"Paid calls", "/submissions"}}},
		submissionPage(submissionView{v, s, why}))
}
