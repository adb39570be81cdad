package why

import (
	"strings"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

// World is what stands in the way of everything, or of all paid calls.
type World struct {
	Now time.Time

	// The database: what keeps it from being written.
	ReadOnly bool
	DiskFull bool
	Fault    string // it does not answer, or is not where it was

	// Ahead is how far the node's clock is ahead of the database's; 0: they agree.
	Ahead time.Duration

	PublicURL   string
	Unreachable bool // FullEnrich is elsewhere, and the public URL is of this machine
	// Gap is since when probes do not reach the public URL; zero: they do, or none are made.
	Gap    time.Time
	Proven bool // an authentic delivery came under it

	NoKey      bool
	Spending   liwanag.Spending
	Balance    liwanag.Balance
	Budget     int64 // credits a UTC day that nobody confirmed; 0: no limit
	Used       int64 // of it, today
	InFlight   int   // contacts
	MostAtOnce int   // contacts in flight, at most
	CallLimit  int   // calls a minute
	Stopped    []string
	// Work addresses are looked up, too.
	WorkToo   bool
	NextBatch time.Time // when the scheduled batch sweeps next; zero: it is paused
}

// paused says whether all spending is.
func (w World) paused() bool {
	s := w.Spending
	return s.Paused && (s.Until.IsZero() || s.Until.After(w.Now))
}

// blocked tells what keeps every run from going on.
func (w World) blocked(s *story) {
	switch {
	case w.DiskFull:
		s.sum(none, none, "The disk is full: nothing can be written, so nothing goes on.")
		s.act("Free space where the database is: it goes on without a restart.", "df -h")
	case w.ReadOnly:
		s.sum(none, none, "The database is read-only: nothing can be written, so nothing goes on.")
		s.act("Make the database writable for the server: its file and folder, or the PostgreSQL server that is primary.",
			"liwanag doctor")
	case w.Fault != "":
		s.sum(none, none, "The database cannot be used: %s.", strings.TrimSuffix(w.Fault, "."))
		s.act("Bring the database back: the server goes on by itself.", "liwanag doctor")
	}
	if w.Ahead != 0 {
		way := "ahead of"
		if w.Ahead < 0 {
			way = "behind"
		}
		s.fact(none, none, "The clocks are apart: the server's is %s %s the database's, so that times here may be off "+
			"by as much.",
			w.Ahead.Abs().Round(time.Millisecond), way)
		s.act("Synchronize the clocks of both machines (NTP).", "timedatectl set-ntp true")
	}
}

// unpaid tells what keeps every paid call from being made.
func (w World) unpaid(s *story) {
	if w.Spending.Held() {
		note, _, _ := strings.Cut(w.Spending.Note, ". Try: ")
		s.sum(w.Spending.HeldAt, none, "All spending is held%s. No resume ends that.", because(note))
		s.act("Compare with FullEnrich's dashboard; then say that spending may go on.",
			"liwanag submissions release 'compared with the dashboard'")
		return
	}
	if w.NoKey {
		s.sum(none, none, "There is no FullEnrich key: nothing is looked up.")
		s.act("Set the key and start the server again.", "FULLENRICH_API_KEY=… liwanag serve")
		return
	}
	if w.paused() {
		s.include(w.pause())
	}
}

// pause tells why all spending is stopped.
func (w World) pause() *story {
	s, p := tell(), w.Spending
	switch p.Reason {
	case liwanag.WaitingCredits:
		s.sum(p.At, p.Until, "There are no credits left at FullEnrich: all paid calls wait until there are.")
		s.act("Buy credits at FullEnrich; the balance is read again every minute.", "liwanag credits")
		s.act("Or go on at once after buying some.", "liwanag submissions resume")
	case liwanag.WaitingKey:
		s.sum(p.At, p.Until, "FullEnrich refuses the key: all paid calls wait for another one.")
		s.act("Set the right key and start the server again.", "FULLENRICH_API_KEY=… liwanag serve")
	default:
		s.sum(p.At, p.Until, "All spending is paused%s.", because(p.Note))
		s.act("Let it go on.", "liwanag submissions resume")
	}
	return s
}

func because(note string) string {
	if note == "" {
		return ""
	}
	return ": " + strings.TrimSuffix(note, ".")
}

// reach tells what keeps FullEnrich's webhooks from coming.
func (w World) reach(s *story) {
	switch {
	case w.Unreachable:
		s.fact(none, none, "FullEnrich cannot reach %s: results come by fetch alone.", w.PublicURL)
		s.act("Set the public URL to where FullEnrich reaches this server.", "LIWANAG_PUBLIC_URL=https://… liwanag serve")
	case !w.Gap.IsZero():
		s.fact(w.Gap, none, "The public URL %s does not reach this server: FullEnrich's webhooks are lost meanwhile, "+
			"results come by fetch alone.", w.PublicURL)
		s.act("Mend the proxy or the public URL, and test it with a signed webhook.", "liwanag doctor --webhook")
	}
}
