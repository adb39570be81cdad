package api

import (
	"net/http"
	"time"

	"github.com/liwanag/liwanag/workflow/runapi"
)

// Routes of what is kept.
var (
	Prune = runapi.Slow(runapi.Post[runapi.NoInput, Pruned]("/prune",
		"prune", "Delete what is older than LIWANAG_RETENTION now, as happens every hour", http.StatusOK)).Scoped(admin)
	CreateBackup = runapi.Slow(runapi.Post[BackupRequest, Backup]("/backups",
		"create-backup", "Copy the database, as of one moment, into LIWANAG_BACKUP_DIR", http.StatusCreated)).Scoped(admin)
	ListBackups = runapi.Get[runapi.NoInput, runapi.List[Backup]]("/backups",
		"list-backups", "List the backups that the database knows of, newest first").Scoped(read)
)

// Pruned says up to when.
type Pruned struct {
	Before time.Time `json:"before" doc:"Runs, files and webhooks that ended before are deleted."`
}

// BackupRequest names the file of a backup.
type BackupRequest struct {
	Path string `json:"path,omitempty" maxLength:"1000" doc:"In LIWANAG_BACKUP_DIR; one that is there is not overwritten. Left out: liwanag-TIME.backup."`
}

// Holding are those of backups that were made since somebody was here: they hold them still.
func Holding(all []Backup, since time.Time) (paths []string) {
	for _, b := range all {
		if !b.MadeAt.Before(since) {
			paths = append(paths, b.Path)
		}
	}
	return paths
}

// Backup is a copy of the database.
type Backup struct {
	Path      string    `json:"path" doc:"On the machine of the server that made it."`
	MadeAt    time.Time `json:"madeAt"`
	Size      int64     `json:"size" doc:"Bytes."`
	Scheduled bool      `json:"scheduled,omitempty" doc:"LIWANAG_BACKUP_SCHEDULE made it."`
}
