package api

import (
	"net/http"
	"time"

	"github.com/liwanag/liwanag/workflow/runapi"
)

// What keys may do. Every route declares one; a key with admin has them all.
const (
	ingest  = "ingest"            // bring people in, and note that they left
	read    = runapi.ScopeRead    // see people, runs and figures
	export  = "export"            // take files of people away
	operate = runapi.ScopeOperate // steer: runs, lookups, paid calls, what is kept of people; raw deliveries
	admin   = "admin"             // settings of the server, keys, the audit trail; and all of the above
)

// Routes of API keys.
var (
	ListKeys = runapi.Get[runapi.NoInput, runapi.List[APIKey]]("/keys",
		"list-keys", "List the API keys, newest first").Scoped(admin)
	AddKey = runapi.Post[AddKeyRequest, APIKey]("/keys",
		"add-key", "Make an API key; the answer shows it, once", http.StatusCreated).Scoped(admin)
	RevokeKey = runapi.Delete[runapi.IDPath]("/keys/{id}",
		"revoke-key", "Revoke an API key: it opens nothing any more, and sessions and streams of it end").Scoped(admin)
)

// APIKey is one beside the server's own.
type APIKey struct {
	ID         string    `json:"id"`
	Name       string    `json:"name" doc:"Who uses it, as the audit trail says."`
	Scopes     []string  `json:"scopes" enum:"ingest,read,export,operate,admin"`
	Key        string    `json:"key,omitempty" doc:"The key itself: there once, in the answer that made it."`
	CreatedAt  time.Time `json:"createdAt"`
	ExpiresAt  time.Time `json:"expiresAt,omitzero" doc:"Absent: it does not expire."`
	LastUsedAt time.Time `json:"lastUsedAt,omitzero" doc:"To the minute; absent: never."`
}

// AddKeyRequest describes a key to make.
type AddKeyRequest struct {
	Name      string    `json:"name" minLength:"1" maxLength:"100" doc:"Two keys may have one name, so that one can take the other's place; a third is 409 too_many_keys."`
	Scopes    []string  `json:"scopes" minItems:"1" enum:"ingest,read,export,operate,admin" doc:"What it may do; admin stands for all."`
	ExpiresAt time.Time `json:"expiresAt,omitzero" doc:"Left out: it does not expire."`
}
