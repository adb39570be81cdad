package httpapi

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/enrichment"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/httpapi/door"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/workflow"
	"github.com/liwanag/liwanag/workflow/runapi"
)

func (s *Server) registerRuns() {
	door.Serve(s.Door, runapi.ListRuns, s.listRuns)
	door.Serve(s.Door, runapi.GetRun, s.getRun)
	door.Serve(s.Door, runapi.GetRunHistory, s.getHistory)
	door.Serve(s.Door, runapi.SendEvent, s.sendEvent)
	door.Serve(s.Door, runapi.CancelRun, s.cancelRun)
	door.Serve(s.Door, runapi.RetryRun, s.retryRun)
	door.Serve(s.Door, runapi.WakeRun, s.wakeRun)
	door.Serve(s.Door, runapi.ResolveRun, s.resolveRun)
	door.Serve(s.Door, runapi.PauseRun, s.pauseRun)
	door.Serve(s.Door, runapi.ResumeRun, s.resumeRun)
}

func (s *Server) listRuns(ctx context.Context, in *runapi.RunQuery) (runapi.List[runapi.Run], error) {
	answer := runapi.List[runapi.Run]{Items: []runapi.Run{}}
	attributes, err := attributesOf(in.Attribute)
	if err != nil {
		return answer, err
	}
	query, some, err := s.runQuery(ctx,
		workflow.Query{Workflow: in.Workflow, Status: workflow.Status(in.Status), Since: in.Since, Until: in.Until,
			Parent: in.Parent, Attributes: attributes, Cursor: in.Cursor, Limit: in.Limit}, in.Q)
	if err != nil || !some {
		return answer, err
	}
	page, err := s.cfg.Runner.List(ctx, query)
	if err != nil {
		return runapi.List[runapi.Run]{}, door.OfRunner(err)
	}
	answer.NextCursor = page.Next
	views, err := s.viewRuns(ctx, page.Runs)
	answer.Items = append(answer.Items, views...)
	return answer, err
}

// attributesOf reads attributes to filter by; no run has two values of one key.
func attributesOf(list []string) (workflow.Attributes, error) {
	var all workflow.Attributes
	for _, text := range list {
		key, value, err := workflow.ParseAttribute(text)
		switch was, twice := all[key]; {
		case err != nil:
			return nil, door.InvalidFilter("attribute", "it is no key=value, or too long")
		case twice && was != value:
			return nil, door.InvalidFilter("attribute", "no run has two values of "+door.Clip(key))
		case all == nil:
			all = workflow.Attributes{}
		}
		all[key] = value
	}
	return all, nil
}

// runsAbout finds the runs that a text names: none for text that names nothing.
func (s *Server) runsAbout(ctx context.Context, text string) ([]string, error) {
	if id, err := liwanag.ParseID(liwanag.RunKind, text); err == nil {
		return []string{id.String()}, nil
	}
	if strings.Contains(text, "@") {
		email, err := liwanag.ParseEmail(text)
		if err != nil {
			return nil, nil
		}
		ids, err := s.cfg.Store.Jobs.RunsOfEmail(ctx, email.Key)
		return texts(ids), err
	}
	sub, err := s.cfg.Store.Submissions.ByEnrichment(ctx, text)
	if errors.Is(err, liwanag.ErrNotFound) {
		return nil, nil
	}
	return texts([]liwanag.ID{sub.RunID}), err
}

func texts(ids []liwanag.ID) []string {
	var out []string
	for _, id := range ids {
		if !id.IsZero() {
			out = append(out, id.String())
		}
	}
	return out
}

// describeRun reads a run; text that is no run's id names nothing.
func (s *Server) describeRun(ctx context.Context, id string) (workflow.Run, error) {
	if _, err := idOf(liwanag.RunKind, id, "run"); err != nil {
		return workflow.Run{}, err
	}
	r, err := s.cfg.Runner.Describe(ctx, id)
	return r, door.OfRunner(err)
}

func (s *Server) getRun(ctx context.Context, in *runapi.IDPath) (runapi.RunDetail, error) {
	r, err := s.describeRun(ctx, in.ID)
	if err != nil {
		return runapi.RunDetail{}, err
	}
	return s.viewRunDetail(ctx, r)
}

func (s *Server) getHistory(ctx context.Context, in *runapi.IDPath) (runapi.List[workflow.HistoryItem], error) {
	r, err := s.describeRun(ctx, in.ID)
	if err != nil {
		return runapi.List[workflow.HistoryItem]{}, err
	}
	return listOf(r.History, "", func(h workflow.HistoryItem) workflow.HistoryItem { h.At = h.At.UTC(); return h }), nil
}

func (s *Server) sendEvent(ctx context.Context, in *runapi.Addressed[runapi.SendEventRequest]) (runapi.EventReceipt, error) {
	r, err := s.describeRun(ctx, in.ID)
	if err != nil {
		return runapi.EventReceipt{}, err
	}
	if len(in.Body.Data) == 0 {
		in.Body.Data = json.RawMessage("{}")
	}
	if err := s.checkEvent(r, in.Body.Type, in.Body.Data); err != nil {
		return runapi.EventReceipt{}, err
	}
	signal := workflow.Signal{ID: in.Body.ID, Event: in.Body.Type, Payload: in.Body.Data}
	if signal.ID == "" {
		signal.ID = rand.Text()
	}
	receipt, err := s.emit(ctx, in.ID, signal)
	return runapi.EventReceipt{ID: signal.ID, Duplicate: receipt.Duplicate, Late: receipt.Late}, door.OfRunner(err)
}

// emit hands an event to its run. The one that ends an enrichment goes through
// the enrichment, which keeps the results: an event holds no personal data.
func (s *Server) emit(ctx context.Context, runID string, signal workflow.Signal) (workflow.Receipt, error) {
	var results json.RawMessage
	toEnrichment := signal.Event == enrichment.Completed.Name
	if toEnrichment {
		var err error
		if results, err = givenResults(signal.Payload); err != nil {
			return workflow.Receipt{}, err
		}
		signal.Payload = json.RawMessage("{}")
	}
	if err := signal.Validate(); errors.Is(err, workflow.ErrTooLarge) {
		return workflow.Receipt{}, err
	} else if err != nil { // type and data were checked before
		return workflow.Receipt{}, door.InvalidField("id", "it holds control characters")
	}
	if !toEnrichment {
		return s.cfg.Runner.Signal(ctx, runID, signal)
	}
	id, err := idOf(liwanag.RunKind, runID, "run")
	if err != nil {
		return workflow.Receipt{}, err
	}
	return s.cfg.Enrichment.Emit(ctx, id, signal.ID, results)
}

// givenResults reads the data of the event that ends an enrichment. Only the
// results are for others to give: the event's own fields name rows of ours.
func givenResults(data json.RawMessage) (json.RawMessage, error) {
	var given struct {
		Results []map[string]json.RawMessage `json:"results"`
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if decoder.Decode(&given) != nil {
		return nil, door.InvalidField("data", "send {results: [{…}]}, or {} to fetch now")
	}
	if given.Results == nil {
		return nil, nil
	}
	return json.Marshal(given.Results)
}

// checkEvent refuses data that does not fit the event's type.
func (s *Server) checkEvent(r workflow.Run, name string, data json.RawMessage) error {
	plan := s.definition(r.Workflow, r.Version)
	if plan == nil {
		return workflow.ErrUnknownWorkflow
	}
	event, ok := plan.Event(name)
	if !ok {
		return door.InvalidField("type", "the run's workflow waits for no event of this type")
	}
	if bytes.HasPrefix(bytes.TrimSpace(data), []byte("null")) || event.Check(data) != nil {
		return door.InvalidField("data", "it does not fit the event's type")
	}
	return nil
}

// defaultReason is kept with runs that were canceled without one.
const defaultReason = "canceled by an operator"

func (s *Server) cancelRun(ctx context.Context, in *runapi.Addressed[*runapi.CancelRunRequest]) (runapi.Run, error) {
	if _, err := idOf(liwanag.RunKind, in.ID, "run"); err != nil {
		return runapi.Run{}, err
	}
	reason, force := "", false
	if in.Body != nil {
		reason, force = in.Body.Reason, in.Body.Force
	}
	if reason == "" {
		reason = defaultReason
	}
	cancel := s.cfg.Enrichment.CancelRun
	if force {
		cancel = s.cfg.Runner.Terminate
	}
	if err := cancel(ctx, in.ID, reason); err != nil {
		return runapi.Run{}, door.OfRunner(err)
	}
	return s.runNow(ctx, in.ID)
}

func (s *Server) wakeRun(ctx context.Context, in *runapi.IDPath) (runapi.Run, error) {
	if _, err := idOf(liwanag.RunKind, in.ID, "run"); err != nil {
		return runapi.Run{}, err
	}
	if err := s.cfg.Runner.Wake(ctx, in.ID); err != nil {
		return runapi.Run{}, door.OfRunner(err)
	}
	return s.runNow(ctx, in.ID)
}

func (s *Server) retryRun(ctx context.Context, in *runapi.Addressed[*runapi.RetryRunRequest]) (runapi.Run, error) {
	if _, err := idOf(liwanag.RunKind, in.ID, "run"); err != nil {
		return runapi.Run{}, err
	}
	var asked runapi.RetryRunRequest
	if in.Body != nil {
		asked = *in.Body
	}
	reopen := s.cfg.Runner.Retry
	if r, ok := s.steering().(workflow.Resolver); ok && asked.Again { // others repeat such a step unasked
		reopen = r.RetryAgain
	}
	err := s.cfg.Enrichment.RetryRunBy(ctx, in.ID, asked.From, reopen)
	if errors.Is(err, workflow.ErrNotEnded) {
		r, describeErr := s.cfg.Runner.Describe(ctx, in.ID)
		if describeErr == nil && r.Status.Ended() {
			return runapi.Run{}, door.NewProblem(http.StatusConflict, "run_ended", "the run is completed: there is nothing to retry")
		}
	}
	if err != nil {
		return runapi.Run{}, door.OfRunner(err)
	}
	return s.runNow(ctx, in.ID)
}

// runNow shows a run after an act.
func (s *Server) runNow(ctx context.Context, id string) (runapi.Run, error) {
	r, err := s.cfg.Runner.Describe(ctx, id)
	if err != nil {
		return runapi.Run{}, door.OfRunner(err)
	}
	return s.viewRun(ctx, r)
}
