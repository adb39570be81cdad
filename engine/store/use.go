package store

import "sync/atomic"

// Use gives a store to one engine at a time: two on one store would be one node to it,
// and each would end the other's lease. Stores embed it.
type Use struct{ used atomic.Bool }

// Enter takes the store until leave is called. false: another engine has it.
func (u *Use) Enter() (leave func(), ok bool) {
	if u.used.Swap(true) {
		return nil, false
	}
	return func() { u.used.Store(false) }, true
}
