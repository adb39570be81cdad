package intake

import (
	"cmp"
	"encoding/json"
	"reflect"
	"slices"
	"strings"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

// maxTypos is how many mistyped domains a preview names.
const maxTypos = 20

// maxTyposSeen bounds how many it tells apart on the way there.
const maxTyposSeen = 10_000

// previewNotes collects what a preview says beside the counts.
type previewNotes struct {
	changes      liwanag.UploadChanges
	left, unread map[string]*liwanag.ColumnNote
	typos        map[string]*liwanag.TypoNote
}

// cells notes what was seen in the cells of a row.
func (n *previewNotes) cells(row int64, c *CSVReader) {
	if n.left == nil {
		n.left, n.unread = map[string]*liwanag.ColumnNote{}, map[string]*liwanag.ColumnNote{}
	}
	noteColumns(n.left, c.left, row)
	noteColumns(n.unread, c.unread, row)
}

func noteColumns(notes map[string]*liwanag.ColumnNote, columns []string, row int64) {
	for _, column := range columns {
		if notes[column] == nil {
			notes[column] = &liwanag.ColumnNote{Column: column, First: row}
		}
		notes[column].Rows++
	}
}

// domain notes an address whose domain looks mistyped.
func (n *previewNotes) domain(domains *liwanag.Domains, emailKey string) {
	domain := emailKey[strings.LastIndexByte(emailKey, '@')+1:]
	meant := domains.MistypedFor(domain)
	if meant == "" || n.typos[domain] == nil && len(n.typos) == maxTyposSeen {
		return
	}
	if n.typos == nil {
		n.typos = map[string]*liwanag.TypoNote{}
	}
	if n.typos[domain] == nil {
		n.typos[domain] = &liwanag.TypoNote{Domain: domain, Meant: meant}
	}
	n.typos[domain].Rows++
}

// change counts what a row would change of somebody who is known.
func (n *previewNotes) change(was liwanag.Subscriber, row liwanag.SignUp) error {
	now := was
	if err := now.Merge(row); err != nil {
		return err
	}
	now.Stated.At = was.Stated.At
	any := false
	for _, c := range []struct {
		changed bool
		count   *int64
	}{
		{now.Stated != was.Stated, &n.changes.Stated},
		{!reflect.DeepEqual(now.Tags, was.Tags), &n.changes.Tags},
		{len(now.Sources) != len(was.Sources), &n.changes.Sources},
		{!sameObject(now.Metadata, was.Metadata), &n.changes.Metadata},
		{!now.SignedUpAt.Equal(was.SignedUpAt), &n.changes.SignedUp},
		{row.Left && was.SuppressedAt.IsZero(), &n.changes.Unsubscribed},
	} {
		if any = any || c.changed; c.changed {
			*c.count++
		}
	}
	if any {
		n.changes.People++
	}
	return nil
}

// sameObject compares JSON objects by what they say.
func sameObject(a, b json.RawMessage) bool {
	if slices.Equal(a, b) {
		return true
	}
	var one, other map[string]any
	if len(a) == 0 || len(b) == 0 || json.Unmarshal(a, &one) != nil || json.Unmarshal(b, &other) != nil {
		return false
	}
	return reflect.DeepEqual(one, other)
}

// all are the notes, in the order of the columns.
func (n *previewNotes) all(columns []string) liwanag.UploadNotes {
	notes := liwanag.UploadNotes{Changes: n.changes}
	for _, column := range columns {
		if left := n.left[column]; left != nil {
			notes.Standing = append(notes.Standing, *left)
		}
		if unread := n.unread[column]; unread != nil {
			notes.Unread = append(notes.Unread, *unread)
		}
	}
	for _, typo := range n.typos {
		notes.Typos = append(notes.Typos, *typo)
	}
	slices.SortFunc(notes.Typos, func(a, b liwanag.TypoNote) int {
		return cmp.Or(cmp.Compare(b.Rows, a.Rows), cmp.Compare(a.Domain, b.Domain))
	})
	notes.Typos = notes.Typos[:min(len(notes.Typos), maxTypos)]
	return notes
}
