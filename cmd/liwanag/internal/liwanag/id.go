package liwanag

import (
	"fmt"
	"strings"

	"github.com/google/uuid"
)

// Kind is the kind of thing an ID names; its text is the ID's prefix.
type Kind string

// The kinds of ID and their prefixes.
const (
	RunKind         Kind = "run_"
	SubscriberKind  Kind = "sub_"
	JobKind         Kind = "job_"
	UploadKind      Kind = "upl_"
	SubmissionKind  Kind = "sbm_"
	SourceIDKind    Kind = "src_"
	ReceiptKind     Kind = "rcp_"
	SinkKind        Kind = "snk_"
	MessageKind     Kind = "msg_"
	SuppressionKind Kind = "spr_"
	ViewKind        Kind = "vie_"
	KeyKind         Kind = "key_"
)

// ID names one thing: a UUIDv7 and its kind. It is 16 bytes in a database and
// prefixed text ("job_0197c1e5-5a55-7a0e-9b2f-0d6f7d0f9a11") everywhere
// outside. IDs of one process grow with time, so ordering by ID is ordering by
// creation. The zero ID names nothing.
type ID struct {
	kind Kind
	uuid uuid.UUID
}

// NewID draws a new ID of a kind. It fails only when the system has no
// randomness left, which the standard library treats as fatal, so it has no
// error to return.
func NewID(kind Kind) ID {
	return ID{kind, uuid.Must(uuid.NewV7())}
}

// ParseID reads the text form of an ID of the given kind. The error is
// ErrInvalidID; only the exact form that String writes is accepted, so that one
// thing has one text.
func ParseID(kind Kind, text string) (ID, error) {
	rest, ok := strings.CutPrefix(text, string(kind))
	if !ok || len(rest) != 36 {
		return ID{}, invalidID(kind)
	}
	u, err := uuid.Parse(rest)
	if err != nil || u.String() != rest {
		return ID{}, invalidID(kind)
	}
	return ID{kind, u}, nil
}

// IDFromBytes builds an ID from its 16 stored bytes; empty bytes are the zero
// ID. The error is ErrInvalidID.
func IDFromBytes(kind Kind, b []byte) (ID, error) {
	if len(b) == 0 {
		return ID{}, nil
	}
	u, err := uuid.FromBytes(b)
	if err != nil {
		return ID{}, invalidID(kind)
	}
	return ID{kind, u}, nil
}

func invalidID(kind Kind) error {
	return &Error{Class: Invalid, Code: ErrInvalidID.Code, Message: fmt.Sprintf("an id of the form %s<uuid> is needed", kind)}
}

// String is the prefixed text form, empty for the zero ID.
func (id ID) String() string {
	if id.IsZero() {
		return ""
	}
	return string(id.kind) + id.uuid.String()
}

// IsZero says whether the ID names nothing.
func (id ID) IsZero() bool { return id.uuid == uuid.Nil }

// Kind is the kind the ID was made with.
func (id ID) Kind() Kind { return id.kind }

// Bytes are the 16 bytes a database stores; nil for the zero ID, so that it is
// stored as NULL.
func (id ID) Bytes() []byte {
	if id.IsZero() {
		return nil
	}
	return append([]byte(nil), id.uuid[:]...)
}

// Compare orders IDs by their bytes, which is the order of creation.
func (id ID) Compare(other ID) int { return strings.Compare(string(id.uuid[:]), string(other.uuid[:])) }

// MarshalText writes the prefixed form.
func (id ID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText reads the prefixed form of any kind; empty text is the zero ID.
func (id *ID) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*id = ID{}
		return nil
	}
	for _, kind := range []Kind{RunKind, SubscriberKind, JobKind, UploadKind, SubmissionKind, SourceIDKind, ReceiptKind,
		SinkKind, MessageKind, SuppressionKind, ViewKind, KeyKind} {
		if strings.HasPrefix(string(text), string(kind)) {
			parsed, err := ParseID(kind, string(text))
			if err != nil {
				return err
			}
			*id = parsed
			return nil
		}
	}
	return &Error{Class: Invalid, Code: ErrInvalidID.Code,
		Message: "an id begins with run_, sub_, job_, upl_, sbm_, src_, rcp_, snk_, msg_, spr_, vie_ or key_"}
}
