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
}

func viewBackup(b liwanag.Backup) api.Backup {
	return api.Backup{Path: b.Path, MadeAt: b.MadeAt.UTC(), Size: b.Size, Scheduled: b.Scheduled}
}

// createBackup takes as long as it takes; whoever waits is kept waiting.
func (s *Server) createBackup(ctx context.Context, in *api.BackupRequest) (api.Backup, error) {
	type made struct {
		liwanag.Backup
		err error
	}
	done := make(chan made, 1)
	go func() {
		b, err := s.cfg.BackUp(ctx, in.Path)
		done <- made{b, err}
	}()
	for {
		door.Extend(ctx)
		select {
		case m := <-done:
			return viewBackup(m.Backup), m.err
		case <-time.After(10 * time.Second):
		}
	}
}

func (s *Server) listBackups(ctx context.Context, _ *runapi.NoInput) (runapi.List[api.Backup], error) {
	all, err := s.cfg.Store.Instance.Backups(ctx)
	return listOf(all, "", viewBackup), err
}
