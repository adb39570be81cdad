package liwanag

import (
	"strings"
	"time"
	"unicode"
)

// View is a filter of people that was saved under a name.
type View struct {
	ID        ID
	Name      string           // unique
	Filter    SubscriberFilter // with the order
	Columns   []string         // that it shows, as files name them; none: the usual ones
	CreatedAt time.Time
	UpdatedAt time.Time
}

// MaxViews is how many views there may be.
const MaxViews = 200

const maxViewName = 100

// ViewName is a name as it is kept; ErrViewName for one that cannot be.
func ViewName(name string) (string, error) {
	name = strings.Join(strings.Fields(name), " ")
	if name == "" || len(name) > maxViewName || strings.ContainsFunc(name, unicode.IsControl) || strings.HasPrefix(name, string(ViewKind)) {
		return "", ErrViewName
	}
	return name, nil
}

// ErrViewName: a view cannot have this name.
var ErrViewName = &Error{Class: Invalid, Code: "invalid_name",
	Message: "a name of 1 to 100 bytes is needed, which is not an id"}

// ErrViewTaken: another view has the name.
var ErrViewTaken = &Error{Class: Conflict, Code: "view_exists",
	Message: "a view of this name is there already: replace it, or take another name"}

// ErrViewUsed: a sink goes by the view.
var ErrViewUsed = &Error{Class: Conflict, Code: "view_in_use",
	Message: "a webhook out goes by this view: give that another one first"}

// ErrTooManyViews: there is no room for another view.
var ErrTooManyViews = &Error{Class: Conflict, Code: "too_many_views", Message: "there are 200 views: remove one first"}
