package app

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/config"
	"github.com/liwanag/liwanag/internal/pgdb/pgtest"
)

// step is a migration, in the order in which they came to main.
type step struct{ path, sql string }

// stepsOf are those of a database, with what each was when it came: none is edited
// afterwards. The last is what engines began with that never had tables without a prefix.
func stepsOf(t *testing.T, database string) (steps []step, begins step) {
	t.Helper()
	list, err := os.ReadFile("testdata/schemas.txt")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(list)) {
		path, want, _ := strings.Cut(strings.TrimSpace(line), " ")
		if !strings.Contains(path, "/"+database+"/") {
			continue
		}
		text, err := os.ReadFile(filepath.Join("../../../..", path))
		if err != nil {
			t.Fatal(err)
		}
		if got := sha256.Sum256(text); hex.EncodeToString(got[:]) != want {
			t.Errorf("%s is not what it was: databases are there that it made. A change is a migration of its own", path)
		}
		steps = append(steps, step{path, string(text)})
	}
	return steps[:len(steps)-1], steps[len(steps)-1]
}

// sample are the rows of the n-th person, whose lookup waits for its webhook, in the
// columns of the first release; prefix is that of the engine's tables.
func sample(database, prefix string, n int) (application, engine string) {
	id, no, yes := "X'%s'", "0", "1"
	if database == "postgres" {
		id, no, yes = "'\\x%s'", "false", "true"
	}
	hexed := func(text string) string { return fmt.Sprintf(id, text) }
	uuid := hexed
	if database == "postgres" {
		uuid = func(text string) string { return "'" + text + "'" }
	}
	numbered := func(id string) string { return fmt.Sprintf("%s%02x", id, n) }
	person, job := numbered("01a22dce332e7c288ea84e2e67f9f8"), numbered("01a22dce33547d7182adbc037bb068")
	run, paid := numbered("01a22dce33547d629a04fbcf9d5331"), numbered("01a22dce33b67c40867d5aae80af2d")
	mail, enrichment := fmt.Sprintf("'bo%d@gmail.com'", n), numbered("c84ce70e-a456-42c4-9da5-e3503293d0")
	application = `INSERT INTO subscriber (id, email_key, email, email_type, created_at, updated_at, full_name)
			VALUES (` + uuid(person) + `, ` + mail + `, ` + mail + `, 'personal', 1796064817966789, 1796064817966789, 'Bo Berg');
		INSERT INTO job (id, subscriber_id, run_id, status, latest, created_at, retries, credits, late)
			VALUES (` + uuid(job) + `, ` + uuid(person) + `, ` + uuid(run) + `, 'submitted', ` + yes + `, 1796064817991329, 0, 0, ` + no + `);
		INSERT INTO batch (run_id, closes_at, size, state, started, created_at)
			VALUES (` + uuid(run) + `, 1796064818041329, 1, 'closed', ` + yes + `, 1796064817991329);
		INSERT INTO submission (id, run_id, n, state, name, jobs, token_hash, enrichment_id, prepared_at, sending_at, outcome_at, detached,
			late, reserved, credits, duplicates, credit_day) VALUES (` + uuid(paid) + `, ` + uuid(run) + `, 1, 'accepted', 'liwanag', 1, ` +
		hexed(fmt.Sprintf("%064x", n)) + `, '` + enrichment + `', 1796064818099855, 1796064818156992, 1796064818306764, ` +
		no + `, ` + no + `, 1, 0, 0, 20787);
		INSERT INTO submission_job (submission_id, job_id, open) VALUES (` + uuid(paid) + `, ` + uuid(job) + `, ` + yes + `);`
	output := func(text string) string { return hexed(hex.EncodeToString([]byte(text))) }
	jobs := numbered(`"jobIds":["job_01a22dce-3354-7d71-82ad-bc037bb068`) + `"]`
	entry := func(seq int, name, out string) string {
		return fmt.Sprintf(`INSERT INTO %shistory (run_id, seq, kind, step, attempt, at, started_at, started_seq, begins, next_at, reconciled,
			label, signals, failure, output) VALUES (%s, %d, 'completed', '%s', 1, 1796064818083909, 1796064818052670, 0, %s, 0, %s, '', '', '', %s);`,
			prefix, hexed(run), seq, name, no, no, output(out))
	}
	engine = `INSERT INTO ` + prefix + `run (id, workflow, version, status, owner, token, due_at, seq, created_at, started_at, park_kind,
			park_step, park_events, park_since, park_seq, input) VALUES (` + hexed(run) + `, 'subscriber-enrichment', 1, 'open', 0, 3,
			4102444800000000, 4, 1796064818041948, 1796064818041948, 'event', 'wait-for-webhook', '["enrichment-complete"]', 1796064818337723, 4, ` +
		output("{}") + `);` + entry(2, "batch-pending-jobs", "{"+jobs+"}") +
		entry(3, "submit-to-fullenrich", numbered(`{"submissionId":"sbm_01a22dce-33b6-7c40-867d-5aae80af2d`)+`",`+
			`"enrichmentId":"`+enrichment+`",`+jobs+"}")
	if database == "sqlite" {
		engine = strings.ReplaceAll(engine, "'', '', '', ", "'', NULL, NULL, ")
	}
	return application, engine
}

// script makes a database as it was after some steps; each release left a sample in it.
func script(database string, steps []step) string {
	var all strings.Builder
	versions := map[string]bool{}
	yes := map[string]string{"sqlite": "1", "postgres": "true"}[database]
	key := map[string]string{"sqlite": "INTEGER PRIMARY KEY AUTOINCREMENT", "postgres": "integer PRIMARY KEY GENERATED BY DEFAULT AS IDENTITY"}
	prefix, people := "", 0
	for n, s := range steps {
		table, name := "app_migrations", filepath.Base(s.path)
		switch {
		case strings.Contains(s.path, "/wf/"):
			table, prefix = "wf_migrations", "wf_"
		case strings.HasPrefix(s.path, "engine/"):
			table = "engine_migrations"
		}
		if strings.HasSuffix(name, "_names.sql") {
			prefix = "wf_"
		}
		if !versions[table] {
			fmt.Fprintf(&all, "CREATE TABLE IF NOT EXISTS %s (id %s, version_id bigint NOT NULL, is_applied %s NOT NULL, tstamp timestamp);\n",
				table, key[database], map[string]string{"sqlite": "INTEGER", "postgres": "boolean"}[database])
		}
		versions[table] = true
		fmt.Fprintf(&all, "%s;\nINSERT INTO %s (version_id, is_applied) VALUES (%s, %s);\n", s.sql, table,
			strings.TrimLeft(name[:5], "0"), yes)
		if n > 0 { // both halves are there
			application, engine := sample(database, prefix, people)
			all.WriteString(application + engine)
			people++
		}
	}
	return all.String()
}

// made makes a database by a script and returns its URL.
func made(t *testing.T, database, script string) string {
	t.Helper()
	url := "sqlite:" + filepath.Join(t.TempDir(), "old.db")
	if database == "postgres" {
		url = pgtest.Database(t)
		conn, err := pgx.Connect(t.Context(), url)
		if err == nil {
			_, err = conn.PgConn().Exec(t.Context(), script).ReadAll()
			_ = conn.Close(context.Background())
		}
		if err != nil {
			t.Fatal(err)
		}
		return url
	}
	path := strings.TrimPrefix(url, "sqlite:")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", path)
	if err == nil {
		_, err = db.ExecContext(t.Context(), "PRAGMA synchronous = OFF; BEGIN;\n"+script+"COMMIT;")
		_ = db.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return url
}

// Every schema that was ever on main, with lookups in flight that each release before
// left, comes to that of this release. PostgreSQL's take seconds each: of those the first
// and the last, and all of them with LIWANAG_SCHEMAS=all.
func TestEverySchemaThatEverWasMigratesAndRunsOn(t *testing.T) {
	for _, database := range []string{"sqlite", "postgres"} {
		steps, begins := stepsOf(t, database)
		// From then on engines begin with tables that have a prefix.
		renamed := slices.IndexFunc(steps, func(s step) bool { return strings.HasSuffix(s.path, "_names.sql") })
		prefixed := []step{begins}
		for _, s := range steps[:renamed] {
			if !strings.HasPrefix(s.path, "engine/") {
				prefixed = append(prefixed, s)
			}
		}
		t.Run(database+"/prefixed", func(t *testing.T) { migrates(t, database, prefixed, true) })
		for n := 2; n <= len(steps); n++ {
			if database == "sqlite" || n == 2 || n == len(steps)-1 || os.Getenv("LIWANAG_SCHEMAS") == "all" {
				t.Run(fmt.Sprintf("%s/%d", database, n), func(t *testing.T) { migrates(t, database, steps[:n], n == len(steps)-1) })
			}
		}
	}
}

func migrates(t *testing.T, database string, steps []step, run bool) {
	d := config.Database{DatabaseURL: made(t, database, script(database, steps))}
	if _, err := Migrate(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	if script, err := Pending(t.Context(), d); err != nil || script != "" {
		t.Errorf("still pending: %q, %v", script, err)
	}
	if run {
		runsOn(t, d, len(steps)-1)
	}
}

// runsOn starts a server and ends the runs that wait.
func runsOn(t *testing.T, d config.Database, people int) {
	base, _ := startSimulator(t, 200)
	s := settings(t, base)
	s.DatabaseURL = d.DatabaseURL
	r := start(t, Config{Settings: s})
	for n := range people {
		run := fmt.Sprintf("%s/api/v1/runs/run_01a22dce-3354-7d62-9a04-fbcf9d5331%02x", r.URL(), n)
		var state struct{ Status, NoDefinition string }
		call(t, "GET", run, "", &state)
		if state.Status != "waiting" || state.NoDefinition != "" {
			t.Errorf("run %d is %+v", n, state)
		}
		address := fmt.Sprintf("bo%d@gmail.com", n)
		var person struct{ FullName, EnrichmentStatus string }
		call(t, "GET", r.URL()+"/api/v1/subscribers/"+address, "", &person)
		if person.FullName != "Bo Berg" || person.EnrichmentStatus != "submitted" {
			t.Errorf("person %d is %+v", n, person)
		}
		if code := call(t, "POST", run+"/events", `{"type":"enrichment-complete","data":{"results":[{"input":{"email":"`+address+
			`"},"profile":{"full_name":"Bo B. Berg"}}]}}`, nil); code/100 != 2 {
			t.Errorf("event: %d", code)
		}
		await(t, "the run's end", func() bool {
			call(t, "GET", run, "", &state)
			return state.Status == "completed"
		})
		call(t, "GET", r.URL()+"/api/v1/subscribers/"+address, "", &person)
		if person.FullName != "Bo B. Berg" || person.EnrichmentStatus != "enriched" {
			t.Errorf("person %d is %+v in the end", n, person)
		}
	}
	r.halt(t)
}
