package intake

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

func TestALimitCutsAValueNeverThePerson(t *testing.T) {
	many := strings.TrimSuffix(strings.Repeat("t;", 101), ";")
	wide := strings.Repeat(",x", 150)
	for name, file := range map[string]string{
		"101 tags":                "email,tags\na@x.com,\"" + many + "\"\n",
		"a long tag":              "email,tags\na@x.com,ok;" + strings.Repeat("é", 600) + "\n",
		"long tags":               "email,tags\na@x.com,\"" + strings.Repeat(strings.Repeat("<", 500)+";", 120) + "\"\n",
		"long cells":              "email,a,b\na@x.com," + strings.Repeat("x", 60<<10) + "," + strings.Repeat("y", 60<<10) + "\n",
		"many long cells":         "email" + wide + "\na@x.com" + strings.Repeat(","+strings.Repeat("<", 3000), 150) + "\n",
		"a long object":           "email,o\na@x.com,\"{\"\"k\"\":[\"\"" + strings.Repeat("é", 30<<10) + "\"\"]}\"\n",
		"cells too many":          "email,a\na@x.com,1,2,3\n",
		"the last cells too many": "email,a\na@x.com,1,2",
	} {
		t.Run(name, func(t *testing.T) {
			mapping := map[string]Field(nil)
			if name == "a long object" {
				mapping = map[string]Field{"o": FieldMetadataObject}
			}
			good, bad, _ := readAll(t, strings.NewReader(file), mapping)
			if len(good) != 1 || bad != nil {
				t.Fatalf("%d people, bad rows %v", len(good), bad)
			}
			if _, err := (normalizer{domains: liwanag.BuiltinDomains(), lenient: true}).normalize(good[0]); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestACellTooManyIsKept(t *testing.T) {
	good, _, _ := readAll(t, strings.NewReader("email,name\na@x.com,Lee,Ann,,x\n\"b@x.com\",\"one\ntwo\",3\nc@x.com,Cia\n"), nil)
	want := []SignUp{
		{Email: "a@x.com", FullName: "Lee", Metadata: map[string]any{"column_3": "Ann", "column_5": "x"}},
		{Email: "c@x.com", FullName: "Cia"},
	}
	if d := cmp.Diff(want, good); d != "" {
		t.Error(d)
	}
}
