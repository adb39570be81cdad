package intake

import (
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

func TestQuotesAreReadAsPeopleWriteThem(t *testing.T) {
	for name, c := range map[string]struct{ file, name, company string }{
		"space before":          {"email, name, company\na@x.com, \"Lee, Ann\", \"Acme, Inc.\"\n", "Lee, Ann", "Acme, Inc."},
		"space behind":          {"email,name,company\n\"a@x.com\" ,\"Lee, Ann\" ,\"Acme\"\t\n", "Lee, Ann", "Acme"},
		"space at the end":      {"email;name;company\na@x.com;\"Lee; Ann\";\"Acme\"  ", "Lee; Ann", "Acme"},
		"tabs":                  {"email\tname\tcompany\na@x.com\t \"Lee\tAnn\" \t\"Acme\"\n", "Lee\tAnn", "Acme"},
		"backslash":             {"email,name,company\na@x.com,\"Ann \\\"Annie\\\" Lee\",\"The \\\"A\\\", Team\"\n", "Ann \"Annie\" Lee", "The \"A\", Team"},
		"backslash at the end":  {"email,name,company\na@x.com,\"\\\"Ann\\\"\",\"5\\\"\"\n", "\"Ann\"", "5\""},
		"a path":                {"email,name,company\na@x.com,\"C:\\\",\"a\"\"b\"\n", "C:\\", "a\"b"},
		"not doubled":           {"email,name,company\n\"a@x.com\",\"Ann \"Annie\" Lee\",\"Acme\"\n", "Ann \"Annie\" Lee", "Acme"},
		"text behind":           {"email,name,company\na@x.com,\"Ann, A.\" Lee,\"Acme\"\n", "\"Ann, A.\" Lee", "Acme"},
		"single":                {"'email','name','company'\n'a@x.com','Ann','O'Hara'\n", "Ann", "O'Hara"},
		"single, a comma":       {"'email','name','company'\n'a@x.com','Lee, Ann','O'Hara, Inc'\n", "Lee, Ann", "O'Hara, Inc"},
		"curly, a comma":        {"“email”,“name”,“company”\n“a@x.com”,“Lee, Ann”,“O’Hara, Inc”\n", "Lee, Ann", "O’Hara, Inc"},
		"formula":               {"email,name,company\n=\"a@x.com\",=\"Lee, Ann\",\"=\"\"Acme\"\"\"\n", "Lee, Ann", "Acme"},
		"whole line":            {"\"email,name,company\"\n\"a@x.com,Ann,\"\"Acme, Inc\"\"\"\n", "Ann", "Acme, Inc"},
		"whole line, semicolon": {"\"email;name;company\"\n\"a@x.com;Ann;Acme, Inc\"\n", "Ann", "Acme, Inc"},
		"whole line below":      {"email,name,company\n\"a@x.com,Ann,Acme\"\n", "Ann", "Acme"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, r := range []io.Reader{strings.NewReader(c.file), iotest.OneByteReader(strings.NewReader(c.file))} {
				good, bad, _ := readAll(t, r, nil)
				if d := cmp.Diff([]SignUp{{Email: "a@x.com", FullName: c.name, CompanyName: c.company}}, good); d != "" || bad != nil {
					t.Errorf("%s, bad rows %v", d, bad)
				}
			}
		})
	}
}
