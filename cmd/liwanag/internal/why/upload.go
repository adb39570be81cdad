package why

import (
	"strings"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

// Upload is the state of a CSV file.
type Upload struct {
	World
	Upload   liwanag.Upload
	Progress liwanag.UploadProgress
	Forgets  time.Time // when a file that waits is forgotten
}

// Why says why an upload stands where it stands.
func (u Upload) Why() api.Why {
	s, up := tell(), u.Upload
	if up.EndedAt.IsZero() {
		u.blocked(s)
	}
	switch up.Status {
	case liwanag.UploadPreviewed:
		s.sum(up.CreatedAt, u.Forgets, "The file was read and counted, and nothing of it is stored: it waits for "+
			"somebody to confirm it.")
		s.act("Import it.", "curl -X POST $LIWANAG_SERVER/api/v1/uploads/%s/confirm", up.ID)
		s.act("Or cancel it.", "liwanag uploads cancel %s", up.ID)
	case liwanag.UploadNeedsMapping:
		s.sum(up.CreatedAt, u.Forgets, "The file cannot be understood yet%s: somebody has to say what its columns are.",
			because(up.Failure.Message))
		s.act("Say which column holds what, and import it anew.", "liwanag subscribers import FILE --map 'Column=email'")
		s.act("Or cancel it.", "liwanag uploads cancel %s", up.ID)
	case liwanag.UploadImporting:
		u.importing(s)
	case liwanag.UploadEnriching:
		s.sum(up.CreatedAt, none, "The file is imported; %s of its people to end.", lookups(u.Progress.Open))
		if up.Cap != nil {
			s.fact(none, none, "Whoever confirmed it allowed %s.", count(int(*up.Cap), "credit", "credits"))
		}
		u.unpaid(s)
		s.act("See whose lookups are open.", "liwanag uploads show %s", up.ID)
	case liwanag.UploadFailed:
		s.sum(up.EndedAt, none, "The file was refused%s.", because(up.Failure.Message))
		s.act("Mend the file and import it again.", "liwanag subscribers import FILE")
	case liwanag.UploadCanceled:
		s.sum(up.EndedAt, none, "The import was canceled%s.", because(up.Failure.Message))
	default:
		s.sum(up.EndedAt, none, "It is done: nothing is waited for.")
	}
	return s.Why
}

func lookups(n int64) string { return "it waits for " + count(int(n), "lookup", "lookups") }

func (u Upload) importing(s *story) {
	up := u.Upload
	left := max(up.Counts.Rows-up.Position, 0)
	switch {
	case up.Owner == "" || !up.OwnedUntil.After(u.Now):
		s.sum(up.OwnedUntil, none, "The import has no server that looks after it, with %s left: one takes it over as "+
			"soon as it looks.", rows(left))
		s.act("Start a server on this database, if none runs: it goes on where the import was.", "liwanag serve")
	default:
		s.sum(up.CreatedAt, none, "It is being imported by %s, with %s left.", strings.TrimSpace(up.Owner), rows(left))
	}
}

func rows(n int64) string { return count(int(n), "row", "rows") }
