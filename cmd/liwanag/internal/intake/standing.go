package intake

import (
	"slices"
	"strings"
)

// A sender's export or webhook says in a field of its own that somebody left. It is
// believed by a closed set of names and values; nothing here says that somebody
// came back.
var (
	// standingFlags are true or false: whether the person gets e-mail.
	standingFlags = []string{"subscribed", "subscribedtoemails", "issubscribed", "emailsubscribed",
		"subscribedtonewsletter", "optin", "optedin",
		"emailoptin", "acceptsmarketing", "acceptsemailmarketing", "newslettersubscribed", "newsletter", "marketingconsent", "emailconsent",
		"marketingoptin", "emailsenabled", "emailenabled", "abonné", "inscrit", "abonniert", "suscrito", "inscrito", "iscritto"}
	// leftFlags are true or false the other way round, or the time since when.
	leftFlags = []string{"unsubscribed", "isunsubscribed", "optedout", "optout", "emailoptout", "hasoptedoutofemail",
		"unsubscribedfromallemail", "optedoutofallemail", "hsemailoptout",
		"cleaned", "bounced", "hardbounced", "complained", "suppressed", "emailunsubscribed", "unsubscribedfromemail", "unsubscribedfromemails",
		"emailblocklisted", "emailblacklisted", "blocklisted", "blacklisted", "abgemeldet", "ausgetragen", "désabonné", "désinscrit", "dadodebaja",
		"disiscritto", "emailoptedout", "emaildisabled", "emailsdisabled", "donotemail", "donotmail", "donotcontact"}
	// leftTimes say when: any value counts.
	leftTimes = []string{"unsubscribedat", "unsubtime", "unsubscribetime", "unsubscribedate", "unsubscribedon",
		"unsubscribeddate", "unsubscribedtime",
		"dateunsubscribed", "optouttime", "optoutdate", "optedoutat", "cleantime", "cleanedat", "bouncedat", "complainedat",
		"unsubscriptiondate", "unsubscriptiontime", "dateofunsubscription", "bouncedate", "abgemeldetam", "abmeldedatum",
		"datededésabonnement", "datededésinscription", "fechadebaja", "emailsuppressions", "emailsuppressiontimestamp"}
	// standingWords hold one of several words.
	standingWords = []string{"status", "state", "memberstatus", "subscriberstatus", "subscriptionstatus", "emailstatus",
		"emailmarketingstatus",
		"emailmarketingconsent", "marketingstatus", "contactstatus", "liststatus", "subscription", "subscriptionstate", "emailsubscriptionstatus",
		"newsletterstatus", "optinstatus", "subscribertype", "consentstatus", "estado", "statut", "stato"}

	// As spreadsheets write them, too, in the languages of their headers.
	noes      = []string{"false", "no", "n", "0", "off", "f", "falsch", "nein", "faux", "non", "falso"}
	yeses     = []string{"true", "yes", "y", "1", "on", "t", "wahr", "ja", "vrai", "oui", "verdadero", "sí", "vero", "sì", "sim", "verdadeiro"}
	leftWords = []string{"unsubscribed", "unsubscribe", "cleaned", "bounced", "hardbounced", "complained", "complaint", "spam", "optedout",
		"optout", "suppressed", "blocked", "blacklisted", "blocklisted", "deleted", "removed", "disabled", "junk", "unsub", "neversubscribed",
		"notsubscribed", "nonsubscribed", "abgemeldet", "ausgetragen", "gesperrt", "désabonné", "désinscrit", "dadodebaja", "debaja",
		"disiscritto"}
	// canceledWords are Kit's: elsewhere a plan is canceled, and the person stays.
	canceledWords = []string{"cancelled", "canceled"}
)

// leaves says whether a field says that the person left.
func leaves(name, value string) bool {
	key, word := headerKey(name), headerKey(strings.TrimSpace(value))
	if text, err := nameText(value); err != nil || text == "" {
		return false
	}
	switch {
	case slices.Contains(standingFlags, key):
		return slices.Contains(noes, word) || slices.Contains(leftWords, word)
	case slices.Contains(leftFlags, key):
		return slices.Contains(yeses, word) || slices.Contains(leftWords, word) || len(word) >= 8 && isTime(word)
	case slices.Contains(leftTimes, key):
		return !slices.Contains(noes, word) && word != "never" && strings.Trim(word, "0") != ""
	case slices.Contains(standingWords, key):
		return slices.Contains(leftWords, word) || key == "state" && slices.Contains(canceledWords, word)
	}
	return false
}

// leave notes a field that says that the person left, and when if it does.
func (s *SignUp) leave(name, value string, order slashOrder) {
	s.Left = true
	if key := headerKey(name); slices.Contains(leftTimes, key) || slices.Contains(leftFlags, key) {
		if at, ok := parseTime(value, order); ok {
			s.LeftAt = at
		}
	}
}

// isTime takes what begins with a digit for a time; one of zeros is none.
func isTime(word string) bool {
	return strings.Trim(word, "0") != "" && word[0] >= '0' && word[0] <= '9'
}

// Leaves says whether the members of an object say that the person left.
func Leaves(object map[string]any) bool {
	for name, value := range object {
		switch v := value.(type) {
		case string:
			if leaves(name, v) {
				return true
			}
		case bool:
			if leaves(name, map[bool]string{true: "true", false: "false"}[v]) {
				return true
			}
		case interface{ String() string }: // a json.Number
			if leaves(name, v.String()) {
				return true
			}
		}
	}
	return false
}
