package main

import (
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/app"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/config"
)

type copyCommand struct {
	config.Database
	To      string            `name:"to" placeholder:"URL" help:"The PostgreSQL database, empty: postgres://USER@HOST/NAME."`
	ToFile  config.SecretFile `name:"to-file" placeholder:"FILE" help:"File with its URL, for one that holds a password."`
	Journal string            `name:"journal" env:"LIWANAG_JOURNAL" placeholder:"FOLDER" help:"Folder of the spend journal, one for all servers of the new database. Default: none goes along."`
	Yes     bool              `name:"yes" short:"y" help:"Do not ask."`
	showFlag
}

// moved is what copy prints as JSON.
type moved struct {
	From   string       `json:"from"`
	To     string       `json:"to"`
	Tables []movedTable `json:"tables"`
}

type movedTable struct {
	Table  string `json:"table"`
	Rows   int64  `json:"rows"`
	Digest string `json:"sha256"`
}

// Run moves a SQLite database to PostgreSQL.
func (c *copyCommand) Run(p *program) error {
	to := config.Database{DatabaseURL: c.To}
	if (c.To == "") == (c.ToFile == "") {
		return usage("liwanag copy --to postgres://USER@HOST/NAME", "name one database to move to")
	}
	if c.To == "" {
		url, err := c.ToFile.Read()
		if err != nil {
			return &usageError{"to-file: " + err.Error()}
		}
		to.DatabaseURL = url.Reveal()
	}
	if !c.Yes {
		if agreed, err := p.agrees("Move " + c.DatabaseURL + "? Nothing starts on it afterwards. [y/N] "); err != nil || !agreed {
			return errors.Join(err, errors.New("nothing was moved"))
		}
	}
	done, err := app.Copy(p.ctx, c.Database, to, config.Keep{Journal: c.Journal})
	if err != nil {
		return err
	}
	out, rows := moved{From: done.From, To: done.To, Tables: []movedTable{}}, int64(0)
	for _, t := range done.Tables {
		out.Tables = append(out.Tables, movedTable{t.Table, t.Rows, hex.EncodeToString(t.Digest[:])})
		rows += t.Rows
	}
	if c.Output == "json" {
		return printJSON(p.out, out)
	}
	if len(done.Tables) == 0 {
		fmt.Fprintf(p.out, "%s was moved to %s before\n", done.From, done.To)
	} else {
		fmt.Fprintf(p.out, "%s is moved to %s: %d rows of %d tables, counted and compared\n", done.From, done.To, rows, len(done.Tables))
	}
	if done.Journal == "" {
		fmt.Fprintln(p.out, "No spend journal goes along: with LIWANAG_JOURNAL=FOLDER servers begin one there.")
	}
	_, err = fmt.Fprintln(p.out, "Start servers with DATABASE_URL of that one. Nothing starts on the file any more.")
	return err
}
