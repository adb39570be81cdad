package sources

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/intake"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

// Settings are what a source can be told. A kind takes some of them, and has
// defaults for those that are left out.
type Settings struct {
	// Proof says how the sender of a generic source proves that it is the one.
	Proof Proof `json:"proof,omitempty"`
	// HMAC describes the signature when Proof is ProofHMAC.
	HMAC *intake.HMACProfile `json:"hmac,omitempty"`
	// SignsBodyAlone is for older releases of Ghost, which do not sign the time.
	SignsBodyAlone bool `json:"signsBodyAlone,omitempty"`
	// Items leads to the people in a body, an object or an array of up to
	// intake.MaxSignUps; empty: the body itself.
	Items string `json:"items,omitempty"`
	// Event says what a body is about; nil: everybody in it subscribed.
	Event *EventMap `json:"event,omitempty"`
	// EventID leads to what names the event: the same id again changes nothing.
	EventID pointers `json:"eventId,omitempty"`
	// Fields say where each field of a sign-up is, in the person's element or else
	// in the body around it. None, in a generic source: the fields have our own
	// names, and unknown ones are kept.
	Fields map[intake.Field]pointers `json:"fields,omitempty"`
	// Keep are values that are kept in the metadata under their own names; a
	// pointer that ends in /* keeps all members of an object.
	Keep []string `json:"keep,omitzero"`
}

// EventMap tells events apart by a value. One with any other value is ignored.
type EventMap struct {
	At           pointers `json:"at"`
	Subscribed   []string `json:"subscribed,omitempty"`
	Updated      []string `json:"updated,omitempty"`
	Unsubscribed []string `json:"unsubscribed,omitempty"`
}

// Proof names a way to prove who sends.
type Proof string

// The proofs of generic sources.
const (
	ProofStandard Proof = "standard-webhooks"
	ProofSvix     Proof = "svix"
	ProofHMAC     Proof = "hmac"
	ProofBearer   Proof = "bearer"
	ProofPath     Proof = "path"
)

// codeInvalidSettings is the code of settings that cannot be taken.
const codeInvalidSettings = "invalid_settings"

// maxSettings bounds the settings of a source, in bytes: they are read for every
// webhook.
const maxSettings = 64 << 10

// readSettings reads and checks the settings of a kind, and fills in what is left
// out. The error is of class Invalid and names the fault.
func readSettings(k *kind, raw json.RawMessage) (Settings, error) {
	s := Settings{}
	if len(raw) > maxSettings {
		return Settings{}, invalidSettings("they are larger than 64 KiB")
	}
	if len(bytes.TrimSpace(raw)) > 0 && string(bytes.TrimSpace(raw)) != "null" {
		in := json.NewDecoder(bytes.NewReader(raw))
		in.DisallowUnknownFields()
		if err := in.Decode(&s); err != nil {
			return Settings{}, invalidSettings(shapeFault(err))
		}
		if _, err := in.Token(); !errors.Is(err, io.EOF) {
			return Settings{}, invalidSettings("settings are one JSON object")
		}
	}
	s = s.or(k.defaults)
	if fault := s.fault(k); fault != "" {
		return Settings{}, invalidSettings(fault)
	}
	return s, nil
}

func invalidSettings(fault string) error {
	return liwanag.NewError(liwanag.Invalid, codeInvalidSettings, "the settings cannot be taken: "+fault)
}

// shapeFault says what the decoder found, in the words of the settings.
func shapeFault(err error) string {
	var kind *json.UnmarshalTypeError
	if errors.As(err, &kind) && kind.Field != "" {
		return fmt.Sprintf("%s cannot be a %s", kind.Field, kind.Value)
	}
	if name, found := strings.CutPrefix(err.Error(), "json: unknown field "); found && len(name) < 100 {
		return "there is no setting " + name
	}
	return "settings are one JSON object"
}

// or fills in from defaults, setting by setting.
func (s Settings) or(defaults Settings) Settings {
	if s.Proof == "" {
		s.Proof = defaults.Proof
	}
	if len(s.Fields) == 0 {
		s.Fields = defaults.Fields
	}
	if s.Keep == nil {
		s.Keep = defaults.Keep
	}
	return s
}

// fault says what is wrong, or nothing.
func (s Settings) fault(k *kind) string {
	if fault := s.foreign(k); fault != "" {
		return fault
	}
	for name, at := range s.Fields {
		if !slices.Contains(mappable, name) {
			return fmt.Sprintf("fields: there is no field %.100q; there are %v", name, mappable)
		}
		if len(at) == 0 || len(at) > maxPointers {
			return fmt.Sprintf("fields.%s: give one to %d pointers", name, maxPointers)
		}
	}
	if _, found := s.Fields[intake.FieldEmail]; len(s.Fields) > 0 && !found {
		return "fields: email is missing"
	}
	if len(s.Fields) == 0 && len(s.Keep) > 0 {
		return "keep needs fields: without them every unknown field is kept"
	}
	if len(s.Keep) > 100 || slices.Contains(s.Keep, "") {
		return "keep has more than 100 entries, or an empty one"
	}
	if e := s.Event; e != nil && (len(e.At) == 0 || len(e.Subscribed)+len(e.Updated)+len(e.Unsubscribed) == 0) {
		return "event needs at, and values in subscribed, updated or unsubscribed"
	}
	for name, at := range s.pointers() {
		for _, pointer := range at {
			if fault := pointerFault(pointer); fault != "" {
				return name + ": " + fault
			}
		}
	}
	if _, err := k.scheme(s); err != nil {
		return strings.ReplaceAll(err.Error(), "\n", "; ")
	}
	return ""
}

// foreign names a setting that the kind does not have.
func (s Settings) foreign(k *kind) string {
	for name, set := range map[string]bool{"proof": s.Proof != "", "hmac": s.HMAC != nil, "items": s.Items != "",
		"event": s.Event != nil, "eventId": len(s.EventID) > 0} {
		if set && k.kind != liwanag.SourceGeneric {
			return fmt.Sprintf("%s is a setting of generic sources", name)
		}
	}
	if s.SignsBodyAlone && k.kind != liwanag.SourceGhost {
		return "signsBodyAlone is a setting of Ghost's"
	}
	if (s.HMAC != nil) != (s.Proof == ProofHMAC) {
		return "hmac belongs to proof hmac, and only to it"
	}
	return ""
}

// pointers are all that the settings hold, by the name of their setting.
func (s Settings) pointers() map[string]pointers {
	all := map[string]pointers{"items": {s.Items}, "eventId": s.EventID}
	for name, at := range s.Fields {
		all["fields."+string(name)] = at
	}
	for _, pointer := range s.Keep {
		all["keep"] = append(all["keep"], strings.TrimSuffix(pointer, everything))
	}
	if s.Event != nil {
		all["event.at"] = s.Event.At
	}
	return all
}
