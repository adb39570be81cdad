package sources

import (
	"encoding/json"
	"fmt"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/intake"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

// kind is what there is to know of one sender: a row of a table. Receiving,
// replaying and trying are the same for all.
type kind struct {
	kind  liwanag.SourceKind
	title string
	help  string
	// secretFrom is who makes the secret: ours, the sender, or nobody.
	secretFrom SecretFrom
	maxBody    int64 // bytes
	defaults   Settings
	scheme     func(Settings) (intake.Scheme, error)
	read       func(Settings, webhook) (reading, error)
}

// SecretFrom is who makes the secret of a source.
type SecretFrom string

// The makers of secrets.
const (
	SecretFromUs     SecretFrom = "us"     // made here, shown once, entered at the sender
	SecretFromSender SecretFrom = "sender" // shown by the sender, entered here
	SecretFromNobody SecretFrom = ""
)

// The limits of bodies, in bytes.
const (
	maxOne  = 1 << 20
	maxMany = 5 << 20
)

// kinds is the table; nothing changes it.
var kinds = []*kind{
	{
		kind: liwanag.SourceGeneric, title: "Generic JSON", secretFrom: SecretFromUs, maxBody: maxMany,
		defaults: Settings{Proof: ProofStandard},
		scheme:   genericScheme, read: readGeneric,
		help: "Any sender of JSON, one object or an array of up to 500, or of a form.\n" +
			"Choose the proof that the sender can give: standard-webhooks or svix (signed), hmac (a signature of " +
			"its own), bearer (a token), path (nothing but the URL).\n" +
			"Without fields the JSON has the names of POST /webhooks/subscribers; with fields, JSON pointers say " +
			"where each is, such as \"email\": \"/data/email\".\n" +
			"Try one of their bodies before you give them the URL.",
	},
	{
		kind: liwanag.SourceGhost, title: "Ghost", secretFrom: SecretFromUs, maxBody: maxOne,
		defaults: Settings{
			Fields: map[intake.Field]pointers{intake.FieldEmail: {"/email"}, intake.FieldFullName: {"/name"}, intake.FieldID: {"/id"},
				intake.FieldTags: {"/labels"}, intake.FieldTimestamp: {"/created_at"}},
			Keep: []string{"/status"},
		},
		scheme: func(s Settings) (intake.Scheme, error) { return intake.Ghost(s.SignsBodyAlone), nil }, read: readGhost,
		help: "In Ghost Admin: Settings, Integrations, Add custom integration.\n" +
			"Add a webhook for each of Member added, Member updated and Member deleted, all with this URL as target and this secret.\n" +
			"Without the secret Ghost does not sign, and its webhooks are refused.",
	},
	{
		kind: liwanag.SourceKit, title: "Kit", secretFrom: SecretFromSender, maxBody: maxMany,
		defaults: Settings{
			Fields: map[intake.Field]pointers{intake.FieldEmail: {"/email_address"}, intake.FieldFirstName: {"/first_name"}, intake.FieldID: {"/id"},
				intake.FieldTimestamp: {"/created_at"}},
			Keep: []string{"/fields/*"},
		},
		scheme: func(Settings) (intake.Scheme, error) { return intake.Kit(), nil }, read: readKit,
		help: "In Kit: Settings, Developer, Webhook endpoints, Add endpoint, with this URL and the subscriber events.\n" +
			"Kit shows the secret once: enter it here, by changing the secret of this source. Until then its " +
			"webhooks are answered 503, and Kit repeats them.\n" +
			"Custom fields are kept in the metadata; fields can map them, such as \"companyName\": \"/fields/company\".",
	},
	{
		kind: liwanag.SourceMailchimp, title: "Mailchimp", secretFrom: SecretFromNobody, maxBody: maxOne,
		defaults: Settings{
			Fields: map[intake.Field]pointers{intake.FieldEmail: {"/email"}, intake.FieldFirstName: {"/merges/FNAME"},
				intake.FieldLastName:    {"/merges/LNAME"},
				intake.FieldCompanyName: {"/merges/COMPANY"}, intake.FieldID: {"/id"}, intake.FieldTimestamp: {"/fired_at"}},
			Keep: []string{"/list_id", "/merges/*"},
		},
		scheme: func(Settings) (intake.Scheme, error) { return intake.PathOnly(), nil }, read: readMailchimp,
		help: "In Mailchimp: Audience, Settings, Webhooks, Create new webhook, with this URL.\n" +
			"Choose Subscribes, Unsubscribes, Profile updates, Cleaned addresses and Email changed; and changes " +
			"made by a subscriber, an admin and the API.\n" +
			"Mailchimp does not sign: whoever knows the URL is believed, so keep it like a password.",
	},
}

func kindOf(name liwanag.SourceKind) (*kind, bool) {
	for _, k := range kinds {
		if k.kind == name {
			return k, true
		}
	}
	return nil, false
}

// Kind tells people and programs of a kind.
type Kind struct {
	Kind       liwanag.SourceKind
	Title      string
	SecretFrom SecretFrom
	Help       string          // how to set it up at the sender, a few lines
	Defaults   json.RawMessage // the settings of a new source
}

// Kinds lists the kinds of sources.
func Kinds() ([]Kind, error) {
	all := make([]Kind, 0, len(kinds))
	for _, k := range kinds {
		defaults, err := json.Marshal(k.defaults)
		if err != nil {
			return nil, fmt.Errorf("sources: defaults of %s: %w", k.kind, err)
		}
		all = append(all, Kind{k.kind, k.title, k.secretFrom, k.help, defaults})
	}
	return all, nil
}

// MaxBody is how large a webhook of a kind may be, in bytes; of an unknown kind
// nothing needs to be read.
func MaxBody(name liwanag.SourceKind) int64 {
	if k, known := kindOf(name); known {
		return k.maxBody
	}
	return 0
}

// genericScheme makes the proof that was chosen a scheme.
func genericScheme(s Settings) (intake.Scheme, error) {
	switch s.Proof {
	case ProofStandard:
		return intake.StandardWebhooks(), nil
	case ProofSvix:
		return intake.Svix(), nil
	case ProofBearer:
		return intake.Bearer(), nil
	case ProofPath:
		return intake.PathOnly(), nil
	case ProofHMAC:
		if s.HMAC == nil {
			return intake.Scheme{}, fmt.Errorf("proof hmac needs hmac, with at least a header")
		}
		scheme, err := s.HMAC.Scheme()
		if err != nil {
			return intake.Scheme{}, fmt.Errorf("hmac: %w", err)
		}
		return scheme, nil
	}
	return intake.Scheme{}, fmt.Errorf("proof is none of %s, %s, %s, %s, %s", ProofStandard, ProofSvix, ProofHMAC, ProofBearer, ProofPath)
}

// secretFrom is who makes the secret of a source with these settings.
func (s Settings) secretFrom(k *kind) SecretFrom {
	switch s.Proof {
	case ProofPath:
		return SecretFromNobody
	case ProofSvix, ProofHMAC:
		return SecretFromSender
	}
	return k.secretFrom
}
