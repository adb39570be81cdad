package sources

import (
	"net/http"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/intake"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

// What says what a sender tells of a person.
type What string

// What senders tell.
const (
	Subscribed   What = "subscribed"   // signed up, or confirmed it: may be looked up
	Updated      What = "updated"      // something new of them: never triggers
	Unsubscribed What = "unsubscribed" // left, or was deleted: nothing is looked up any more
	Ignored      What = "ignored"      // not a sign-up event
)

// webhook is what came, proven to be the sender's.
type webhook struct {
	body   []byte
	proof  intake.Proof
	header http.Header // empty at a replay
}

// reading is what a body says, in the words of all senders.
type reading struct {
	// key names the delivery among those of its source: the same again is a repeat.
	// Empty: its bytes do.
	key    string
	events []event
}

// event is one thing that happened to one person.
type event struct {
	what   What
	at     time.Time // when it happened, as the sender says; zero: when it came
	id     string    // the sender's, of the event, across deliveries; empty: none
	signUp intake.SignUp
	list   string // the list at the sender that it is about, for people; empty: unknown
	err    error  // why it cannot be taken, of class Invalid
}

// Faults of a whole body.
var (
	errUnreadable = liwanag.NewError(liwanag.Invalid, "unreadable_body",
		"the body is not what this sender's webhooks are: one JSON value in UTF-8")
	errNotAForm = liwanag.NewError(liwanag.Invalid, "unreadable_body", "the body is not a form as Mailchimp's webhooks are")
	errNoItems  = liwanag.NewError(liwanag.Invalid, "no_items", "the setting items leads to neither an object nor an array")
	errShape    = liwanag.NewError(liwanag.Invalid, "unexpected_shape", "the body does not have the shape of this sender's webhooks")
	errNoPerson = liwanag.NewError(liwanag.Invalid, "unexpected_shape", "an element is not an object")
)
