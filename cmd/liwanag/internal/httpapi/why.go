package httpapi

import (
	"context"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/httpapi/door"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/why"
	"github.com/liwanag/liwanag/workflow/runapi"
)

func (s *Server) registerWhy() {
	door.Serve(s.Door, api.WhyRun, s.whyRun)
	door.Serve(s.Door, api.RunDoctor, s.runDoctor)
	door.Serve(s.Door, api.ListSettings, s.listSettings)
	door.Serve(s.Door, api.WhySubmission, whyThing(s, liwanag.SubmissionKind, "submission", s.why.Submission))
	door.Serve(s.Door, api.WhySubscriber, s.whySubscriber)
	door.Serve(s.Door, api.WhyUpload, whyThing(s, liwanag.UploadKind, "upload", s.why.Upload))
	door.Serve(s.Door, api.WhySink, whyThing(s, liwanag.SinkKind, "sink", s.why.Sink))
}

// newWhy reads from where the server does.
func newWhy(cfg Config) *why.Reader {
	c := cfg.Why
	c.Store, c.Runner, c.Workflows, c.Now = cfg.Store, cfg.Runner, cfg.Workflows, cfg.Now
	c.PublicURL, c.Unreachable, c.NoKey, c.Budget = cfg.PublicURL, cfg.Unreachable != "", cfg.NoKey,
		cfg.Enrichment.Budget
	return why.New(c)
}

func (s *Server) whyRun(ctx context.Context, in *runapi.IDPath) (api.Why, error) {
	if _, err := idOf(liwanag.RunKind, in.ID, "run"); err != nil {
		return api.Why{}, err
	}
	if err := s.Tallied(ctx); err != nil {
		s.cfg.Log.WarnContext(ctx, "webhooks that were turned away just now are not told of", "error", err)
	}
	answer, err := s.why.Run(ctx, in.ID)
	return answer, door.OfRunner(err)
}

func (s *Server) whySubscriber(ctx context.Context, in *runapi.IDPath) (api.Why, error) {
	id, err := s.personOf(ctx, in.ID)
	if err != nil {
		return api.Why{}, err
	}
	return whyThing(s, liwanag.SubscriberKind, "subscriber", s.why.Subscriber)(ctx, &runapi.IDPath{ID: id.String()})
}

func whyThing(s *Server, kind liwanag.Kind, what string, of func(context.Context, liwanag.ID) (api.Why,
	error)) func(context.Context,
	*runapi.IDPath) (api.Why, error) {
	return func(ctx context.Context, in *runapi.IDPath) (api.Why, error) {
		id, err := idOf(kind, in.ID, what)
		if err != nil {
			return api.Why{}, err
		}
		if err := s.Tallied(ctx); err != nil {
			s.cfg.Log.WarnContext(ctx, "webhooks that were turned away just now are not told of", "error", err)
		}
		answer, err := of(ctx, id)
		return answer, named(err, what)
	}
}

func (s *Server) runDoctor(ctx context.Context, in *api.DoctorRequest) (api.Diagnosis, error) {
	return s.cfg.Doctor(ctx, *in), nil
}

func (s *Server) listSettings(context.Context, *runapi.NoInput) (api.Settings, error) {
	items := s.cfg.Settings
	if items == nil {
		items = []api.Setting{}
	}
	return api.Settings{Version: s.cfg.Version, Items: items}, nil
}
