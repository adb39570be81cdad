package liwanag

import "context"

// Announcing is a store that calls made after each commit that stored messages,
// so that they are sent at once.
func Announcing(s Store, made func()) Store { return announcing{s, made} }

type announcing struct {
	Store
	made func()
}

func (a announcing) Write(ctx context.Context, fn func(tx Tx) error) error {
	stored := false
	err := a.Store.Write(ctx, func(tx Tx) error {
		stored = false // fn may run twice
		return fn(announcingTx{tx, &stored})
	})
	if err == nil && stored {
		a.made()
	}
	return err
}

type announcingTx struct {
	Tx
	stored *bool
}

func (t announcingTx) Messages() MessageTx { return announcingMessages{t.Tx.Messages(), t.stored} }

type announcingMessages struct {
	MessageTx
	stored *bool
}

func (m announcingMessages) Insert(messages []Message) error {
	*m.stored = *m.stored || len(messages) > 0
	return m.MessageTx.Insert(messages)
}

func (m announcingMessages) Again(id ID) (bool, error) {
	again, err := m.MessageTx.Again(id)
	*m.stored = *m.stored || again
	return again, err
}
