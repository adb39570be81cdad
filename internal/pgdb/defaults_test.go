package pgdb

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/liwanag/liwanag/internal/pgdb/pgtest"
)

func TestTheDefaultsOfADatabaseAreNotOurs(t *testing.T) {
	t.Parallel()
	s := pgtest.Shared(t)
	for _, level := range []string{"repeatable read", "serializable"} {
		url := pgtest.Database(t)
		s.Exec(t, "postgres", fmt.Sprintf("ALTER DATABASE %s SET default_transaction_isolation = '%s'", pgtest.Name(url), level))
		nodes := []*DB{open(t, url), open(t, url)}
		if _, err := nodes[0].Pool().Exec(t.Context(), "CREATE TABLE slot (n integer)"); err != nil {
			t.Fatal(err)
		}
		var all sync.WaitGroup
		for i := range 8 {
			all.Go(func() {
				for range 10 {
					err := nodes[i%2].Write(t.Context(), func(tx *Tx) error {
						var n int
						if err := tx.QueryRow("SELECT coalesce(max(n), 0) + 1 FROM slot").Scan(&n); err != nil {
							return err
						}
						_, err := tx.Exec("INSERT INTO slot VALUES ($1)", n)
						return err
					})
					if err != nil {
						t.Errorf("%s: %v", level, err)
					}
				}
			})
		}
		all.Wait()
		var rows, distinct int
		if err := nodes[0].Pool().QueryRow(t.Context(), "SELECT count(*), count(DISTINCT n) FROM slot").Scan(&rows, &distinct); err != nil {
			t.Fatal(err)
		}
		if rows != 80 || distinct != 80 {
			t.Errorf("%s: the one writer is not alone: %d rows, %d numbers", level, rows, distinct)
		}
	}
}

func TestADatabaseOfAnotherEncodingIsRefused(t *testing.T) {
	t.Parallel()
	s := pgtest.Shared(t)
	for i, encoding := range []string{"SQL_ASCII", "LATIN1"} {
		name := fmt.Sprint("encoded_", i)
		s.Exec(t, "postgres", fmt.Sprintf("CREATE DATABASE %s ENCODING '%s' LOCALE_PROVIDER libc LOCALE 'C' TEMPLATE template0", name, encoding))
		_, err := Open(t.Context(), Config{URL: s.URL(name)})
		if !errors.Is(err, ErrEncoding) || !strings.Contains(err.Error(), encoding) || !strings.Contains(err.Error(), "Try: CREATE DATABASE") {
			t.Errorf("%s: %v", encoding, err)
		}
	}
}
