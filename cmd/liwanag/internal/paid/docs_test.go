package paid

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the tables in the documents")

// documents are those that print a table, and which.
var documents = map[string][]string{
	"../../../../docs/paid-call.md": {"moves", "answers"},
	"../enrichment/DESIGN.md":       {"moves"},
}

func TestTheDocumentsPrintTheTables(t *testing.T) {
	tables := map[string]string{"moves": tableOfMoves(), "answers": tableOfAnswers()}
	for path, names := range documents {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		text := string(raw)
		for _, name := range names {
			begin := "<!-- table of " + name + ": go test ./cmd/liwanag/internal/paid -update -->\n"
			before, rest, found := strings.Cut(text, begin)
			_, after, ended := strings.Cut(rest, "<!-- end of table -->\n")
			if !found || !ended {
				t.Fatalf("%s has no place for the table of %s", path, name)
			}
			text = before + begin + tables[name] + "<!-- end of table -->\n" + after
		}
		switch {
		case text == string(raw):
		case *update:
			if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		default:
			t.Errorf("%s prints other tables than the code has: go test ./cmd/liwanag/internal/paid -update", path)
		}
	}
}

func tableOfMoves() string {
	var b strings.Builder
	b.WriteString("| move | from | to | its jobs | credits reserved for it | when |\n|---|---|---|---|---|---|\n")
	for _, m := range Moves {
		moved, credits := "as they are", "stay"
		if len(m.Jobs) > 0 {
			moved = words(m.Jobs) + " → `" + string(m.JobsTo) + "`"
		}
		if m.Refund {
			credits = "go back"
		}
		fmt.Fprintf(&b, "| %s | %s | `%s` | %s | %s | %s |\n", m.Name, words(m.From), m.To, moved, credits, m.When)
	}
	return b.String()
}

func tableOfAnswers() string {
	var b strings.Builder
	b.WriteString("| answer | means | the submission becomes | cause |\n|---|---|---|---|\n")
	for _, r := range Answers {
		cause := ""
		if r.Cause != "" {
			cause = "`" + r.Cause + "`"
		}
		fmt.Fprintf(&b, "| %s | %s | `%s` | %s |\n", r.Answer, r.Meaning, r.Meaning.Move().To, cause)
	}
	return b.String()
}

func words[T ~string](all []T) string {
	quoted := make([]string, len(all))
	for i, one := range all {
		quoted[i] = "`" + string(one) + "`"
	}
	return strings.Join(quoted, ", ")
}
