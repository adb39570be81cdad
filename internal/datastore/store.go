package datastore

// Store reads the application's rows.
type Store struct {
	Subscribers Subscribers
	Jobs        Jobs
	Ledger      Ledger
}

// NewStore is a store over what runs its queries.
func NewStore(r Reader) *Store {
	in := reader{r}
	return &Store{
		Subscribers: Subscribers{in},
		Jobs:        Jobs{in},
		Ledger:      Ledger{in},
	}
}

// Tx is a transaction. It may be used only until the function that it was given
// to returns, and by one goroutine at a time.
type Tx struct {
	Subscribers SubscriberTx
	Jobs        JobTx
	Ledger      LedgerTx
}

// NewTx is a transaction over what runs its statements.
func NewTx(w Writer) *Tx {
	in := writing{w}
	return &Tx{
		Subscribers: SubscriberTx{in},
		Jobs:        JobTx{in},
		Ledger:      LedgerTx{in},
	}
}
