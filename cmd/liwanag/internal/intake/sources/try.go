package sources

import (
	"context"
	"encoding/json"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

// Trial is a body to try.
type Trial struct {
	Body     []byte
	Settings json.RawMessage // instead of the source's own; nil: those
}

// Tried says what a body would do.
type Tried struct {
	State liwanag.ReceiptState // accepted, ignored or rejected
	Code  string               // why it would not be accepted
	// Reason is the same for people.
	Reason string
	Items  []TriedItem
}

// TriedItem is one event of a tried body.
type TriedItem struct {
	What   What
	SignUp liwanag.SignUp // as it would be stored; of who left, the address alone
	Err    error          // why it could not be taken
}

// Try says what a body would do at a source, as if its proof were right; nothing
// is stored. ErrNotFound, or of class Invalid when the settings cannot be taken.
func (s *Service) Try(ctx context.Context, id liwanag.ID, t Trial) (Tried, error) {
	source, err := s.store.Sources.Get(ctx, id)
	if err != nil {
		return Tried{}, err
	}
	if t.Settings != nil {
		k, known := kindOf(source.Kind)
		if !known {
			return Tried{}, errUnknownKind
		}
		if _, err := readSettings(k, t.Settings); err != nil {
			return Tried{}, err
		}
		source.Settings = t.Settings
	}
	by, err := s.setUp(source)
	if err != nil {
		return Tried{}, err
	}
	all, _, fault := s.understand(by, webhook{body: t.Body})
	if fault != nil {
		return Tried{State: liwanag.ReceiptRejected, Code: liwanag.CodeOf(fault), Reason: fault.Error(), Items: all.tried()}, nil
	}
	if len(all.takeable()) == 0 {
		var receipt liwanag.Receipt
		all.conclude(&receipt, 0)
		return Tried{State: receipt.State, Code: receipt.Code, Reason: receipt.Reason, Items: all.tried()}, nil
	}
	return Tried{State: liwanag.ReceiptAccepted, Items: all.tried()}, nil
}

func (all said) tried() []TriedItem {
	items := make([]TriedItem, len(all))
	for i, it := range all {
		items[i] = TriedItem{it.what, it.row, it.err}
	}
	return items
}
