package httpapi

import (
	"context"
	"slices"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/httpapi/door"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/workflow/runapi"
)

func (s *Server) registerKeys() {
	door.Serve(s.Door, api.ListKeys, s.listKeys)
	door.Serve(s.Door, api.AddKey, s.addKey)
	door.Serve(s.Door, api.RevokeKey, s.revokeKey)
}

func viewKey(k liwanag.APIKey) api.APIKey {
	return api.APIKey{ID: k.ID.String(), Name: k.Name, Scopes: k.Scopes.Words(), CreatedAt: k.CreatedAt.UTC(), ExpiresAt: utc(k.ExpiresAt),
		LastUsedAt: utc(k.UsedAt)}
}

func (s *Server) listKeys(ctx context.Context, _ *runapi.NoInput) (runapi.List[api.APIKey], error) {
	rows, err := s.cfg.Store.Keys.List(ctx)
	return listOf(rows, "", viewKey), err
}

func (s *Server) addKey(ctx context.Context, in *api.AddKeyRequest) (api.APIKey, error) {
	name, err := liwanag.ViewName(in.Name)
	if err != nil {
		return api.APIKey{}, door.InvalidField("name", err.Error())
	}
	if !in.ExpiresAt.IsZero() && !in.ExpiresAt.After(s.cfg.Now()) {
		return api.APIKey{}, door.InvalidField("expiresAt", "it is over: name a time to come")
	}
	var scopes liwanag.Scopes
	for _, known := range liwanag.KeyScopes { // each once, in one order
		if slices.Contains(in.Scopes, string(known)) {
			scopes = append(scopes, known)
		}
	}
	key, secret, err := s.cfg.Access.NewKey(name, scopes, in.ExpiresAt.UTC().Truncate(time.Microsecond))
	if err != nil {
		return api.APIKey{}, err
	}
	err = s.cfg.Store.Write(ctx, func(tx *datastore.Tx) error { return tx.Keys.Insert(key) })
	view := viewKey(key)
	view.Key = secret
	return view, err
}

func (s *Server) revokeKey(ctx context.Context, in *runapi.IDPath) (runapi.None, error) {
	id, err := idOf(liwanag.KeyKind, in.ID, "key")
	if err != nil {
		return runapi.None{}, err
	}
	err = s.cfg.Store.Write(ctx, func(tx *datastore.Tx) error { return tx.Keys.Delete(id) })
	return runapi.None{}, named(err, "key")
}
