package httpapi

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/liwanag/liwanag/internal/enrichment"
	"github.com/liwanag/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/workflow"
	"github.com/liwanag/liwanag/workflow/runapi"
)

const runsPath = "/api/v1/runs"

func (s *Server) registerRuns() {
	handle(s, s.describe("GET", runsPath, "list-runs", "List runs, newest first", 200), s.listRuns)
	handle(s, s.describe("GET", runsPath+"/{id}", "get-run", "One run, with steps, attempts and inbox", 200), s.getRun)
	handle(s, s.describe("GET", runsPath+"/{id}/history", "get-run-history", "What happened to a run, in order", 200), s.getHistory)
	handle(s, s.describe("POST", runsPath+"/{id}/events", "send-event", "Send an event to a run", http.StatusAccepted), s.sendEvent)
	handle(s, s.describe("POST", runsPath+"/{id}/cancel", "cancel-run", "Cancel a run", http.StatusAccepted), s.cancelRun)
	handle(s, s.describe("POST", runsPath+"/{id}/retry", "retry-run", "Reopen a run that failed, timed out or was canceled", http.StatusAccepted), s.retryRun)
}

func (s *Server) listRuns(ctx context.Context, in *struct {
	Workflow string    `query:"workflow"`
	Status   string    `query:"status" enum:"pending,running,waiting,completed,failed,timed_out,canceled"`
	Since    time.Time `query:"since" doc:"Created at or after."`
	Until    time.Time `query:"until" doc:"Created before."`
	Q        string    `query:"q" doc:"A run id, an enrichment id, or an e-mail address of its jobs."`
	runapi.Paging
}) (runapi.List[Run], error) {
	answer := runapi.List[Run]{Items: []Run{}}
	query, some, err := s.runQuery(ctx, workflow.Query{Workflow: in.Workflow, Status: workflow.Status(in.Status), Since: in.Since, Until: in.Until,
		Cursor: in.Cursor, Limit: in.Limit}, in.Q)
	if err != nil || !some {
		return answer, err
	}
	page, err := s.cfg.Runner.List(ctx, query)
	if err != nil {
		return runapi.List[Run]{}, ofRunner(err)
	}
	answer.NextCursor = page.Next
	for _, r := range page.Runs {
		view, err := s.viewRun(ctx, r)
		if err != nil {
			return runapi.List[Run]{}, err
		}
		answer.Items = append(answer.Items, view)
	}
	return answer, nil
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
		ids, err := s.cfg.Store.Jobs().RunsOfEmail(ctx, email.Key)
		return texts(ids), err
	}
	sub, err := s.cfg.Store.Submissions().ByEnrichment(ctx, text)
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
	return r, ofRunner(err)
}

func (s *Server) getRun(ctx context.Context, in *runapi.IDPath) (runDetail, error) {
	r, err := s.describeRun(ctx, in.ID)
	if err != nil {
		return runDetail{}, err
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

// eventReceipt says what became of an event.
type eventReceipt struct {
	ID        string `json:"id"`
	Duplicate bool   `json:"duplicate,omitempty" doc:"The run had an event of this id already; this one changed nothing."`
	Late      bool   `json:"late,omitempty" doc:"The run had ended."`
}

func (s *Server) sendEvent(ctx context.Context, in *struct {
	runapi.IDPath
	Body struct {
		ID   string          `json:"id,omitempty" maxLength:"200" doc:"Chosen by the sender: of several with one id the first wins."`
		Type string          `json:"type" minLength:"1"`
		Data json.RawMessage `json:"data,omitempty" doc:"Of enrichment-complete: {results: […]}, or {} to fetch now."`
	}
}) (eventReceipt, error) {
	r, err := s.describeRun(ctx, in.ID)
	if err != nil {
		return eventReceipt{}, err
	}
	if len(in.Body.Data) == 0 {
		in.Body.Data = json.RawMessage("{}")
	}
	if err := s.checkEvent(r, in.Body.Type, in.Body.Data); err != nil {
		return eventReceipt{}, err
	}
	signal := workflow.Signal{ID: in.Body.ID, Event: in.Body.Type, Payload: in.Body.Data}
	if signal.ID == "" {
		signal.ID = rand.Text()
	}
	receipt, err := s.emit(ctx, in.ID, signal)
	return eventReceipt{ID: signal.ID, Duplicate: receipt.Duplicate, Late: receipt.Late}, ofRunner(err)
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
		return workflow.Receipt{}, invalidField("id", "it holds control characters")
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
		return nil, invalidField("data", "send {results: [{…}]}, or {} to fetch now")
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
		return invalidField("type", "the run's workflow waits for no event of this type")
	}
	if bytes.HasPrefix(bytes.TrimSpace(data), []byte("null")) || event.Check(data) != nil {
		return invalidField("data", "it does not fit the event's type")
	}
	return nil
}

// defaultReason is kept with runs that were canceled without one.
const defaultReason = "canceled by an operator"

func (s *Server) cancelRun(ctx context.Context, in *struct {
	runapi.IDPath
	Body *struct {
		Reason string `json:"reason,omitempty" maxLength:"500"`
		Force  bool   `json:"force,omitempty" doc:"End the run at once and without its handlers: for a run whose workflow no server holds any more."`
	}
}) (Run, error) {
	if _, err := idOf(liwanag.RunKind, in.ID, "run"); err != nil {
		return Run{}, err
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
		return Run{}, ofRunner(err)
	}
	return s.runNow(ctx, in.ID)
}

func (s *Server) retryRun(ctx context.Context, in *struct {
	runapi.IDPath
	Body *struct {
		From string `json:"from,omitempty" maxLength:"200" doc:"A step; default: the one that failed."`
	}
}) (Run, error) {
	if _, err := idOf(liwanag.RunKind, in.ID, "run"); err != nil {
		return Run{}, err
	}
	from := ""
	if in.Body != nil {
		from = in.Body.From
	}
	err := s.cfg.Enrichment.RetryRun(ctx, in.ID, from)
	if errors.Is(err, workflow.ErrNotEnded) {
		r, describeErr := s.cfg.Runner.Describe(ctx, in.ID)
		if describeErr == nil && r.Status.Ended() {
			return Run{}, newProblem(http.StatusConflict, "run_ended", "the run is completed: there is nothing to retry")
		}
	}
	if err != nil {
		return Run{}, ofRunner(err)
	}
	return s.runNow(ctx, in.ID)
}

// runNow shows a run after an act.
func (s *Server) runNow(ctx context.Context, id string) (Run, error) {
	r, err := s.cfg.Runner.Describe(ctx, id)
	if err != nil {
		return Run{}, ofRunner(err)
	}
	return s.viewRun(ctx, r)
}
