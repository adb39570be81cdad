package postgres

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/liwanag/liwanag/internal/pgdb"
)

// Client starts runs and sends events in transactions of the program, and executes
// nothing: nodes elsewhere do.
type Client struct {
	schema *schema
	db     *pgdb.DB // nil: it knows the schema, and nobody is told
}

// NewClient returns a client of the store that c is of. With a Schema and without a URL
// it connects to nothing, and nodes find within a second what was posted.
func NewClient(c Config) (*Client, error) {
	if c.URL == "" {
		if c.Schema == "" {
			return nil, errors.New("postgres: a client needs the URL of its database, or the Schema of the store's tables")
		}
		s, err := named(c.Schema)
		return &Client{schema: s}, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), connectWithin)
	defer cancel()
	db, err := pgdb.Open(ctx, pgdb.Config{URL: c.URL})
	if err != nil {
		return nil, err
	}
	s, err := find(ctx, db, c.Schema)
	if err != nil {
		db.Close()
		return nil, err
	}
	return &Client{s, db}, nil
}

// connectWithin bounds how long NewClient looks for the tables.
const connectWithin = 30 * time.Second

// In starts and signals in a transaction of the program.
func (c *Client) In(tx pgx.Tx) *Tx { return c.schema.tx(tx) }

// InSQL is In for a transaction of database/sql, by whichever driver.
func (c *Client) InSQL(tx *sql.Tx) *Tx { return c.schema.sqlTx(tx) }

// Posted says, after a commit, that nodes are to look at once. It returns before they do.
func (c *Client) Posted() {
	if c.db == nil {
		return
	}
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		// What is not told is found within a second.
		_, _ = c.db.Pool().Exec(ctx, "SELECT pg_notify($1, $2)", channel, c.schema.prefix+" "+postedAt)
	}()
}

// Close closes the connections.
func (c *Client) Close() {
	if c.db != nil {
		c.db.Close()
	}
}
