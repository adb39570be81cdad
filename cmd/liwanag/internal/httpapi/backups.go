package httpapi

import (
	"context"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/httpapi/door"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/workflow/runapi"
)

func (s *Server) registerBackups() {
	door.Serve(s.Door, api.CreateBackup, s.createBackup)
	door.Serve(s.Door, api.ListBackups, s.listBackups)
	door.Serve(s.Door, api.Prune, s.prune)
}

func viewBackup(b liwanag.Backup) api.Backup {
	return api.Backup{Path: b.Path, MadeAt: b.MadeAt.UTC(), Size: b.Size, Scheduled: b.Scheduled}
}

func (s *Server) createBackup(ctx context.Context, in *api.BackupRequest) (api.Backup, error) {
	b, err := patiently(ctx, func() (liwanag.Backup, error) { return s.cfg.BackUp(ctx, in.Path) })
	return viewBackup(b), err
}

func (s *Server) prune(ctx context.Context, _ *runapi.NoInput) (api.Pruned, error) {
	before, err := patiently(ctx, func() (time.Time, error) { return s.cfg.Prune(ctx) })
	return api.Pruned{Before: before.UTC()}, err
}

// patiently does what takes as long as it takes, and keeps its caller waiting.
func patiently[T any](ctx context.Context, do func() (T, error)) (v T, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		v, err = do()
	}()
	for {
		door.Extend(ctx)
		select {
		case <-done:
			return v, err
		case <-time.After(10 * time.Second):
		}
	}
}

func (s *Server) listBackups(ctx context.Context, _ *runapi.NoInput) (runapi.List[api.Backup], error) {
	all, err := s.cfg.Store.Instance.Backups(ctx)
	return listOf(all, "", viewBackup), err
}
