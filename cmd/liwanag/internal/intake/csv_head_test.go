package intake

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTheHeaderIsFoundBelowTitlesAndNotes(t *testing.T) {
	ann := []SignUp{{Email: "ann@x.com", FullName: "Ann"}}
	for name, file := range map[string]string{
		"a title":                  "Newsletter subscribers,,\n,,\nEmail,Name,\nann@x.com,Ann,\n",
		"notes and a blank line":   "\"Report: Subscribers\"\n\"Generated: 2026-03-05\"\n\nEmail;Name\nann@x.com;Ann\n",
		"an address in the title":  "admin@acme.example,,\nEmail,Name\nann@x.com,Ann\n",
		"who exported it":          "Exported by,admin@acme.example\nOn,2026-01-01\nName,Email,Note\nAnn,ann@x.com,\n",
		"commas in a note":         "Notes:\n\"Some, not all, addresses; see help\"\n\nName;E-Mail\nAnn;ann@x.com\n",
		"fifteen lines":            strings.Repeat("# a comment\n", 15) + "E-mail\tName\nann@x.com\tAnn\n",
		"sep= below a blank line":  "\nsep=;\nemail;name\nann@x.com;Ann\n",
		"sep= in quotes":           "\"sep=;\"\r\nemail;name\r\nann@x.com;Ann\r\n",
		"sep= with a tab":          "SEP=\t\nemail\tname\nann@x.com\tAnn\n",
		"sep= with a written tab":  "sep=\\t\nemail\tname\nann@x.com\tAnn\n",
		"sep= resaved":             "sep=,,,\nemail,name,,\nann@x.com,Ann,,\n",
		"sep= of another kind":     "sep=^\nemail^name\nann@x.com^Ann\n",
		"sep= that is not so":      "sep=;\nemail,name\nann@x.com,Ann\n",
		"sep= and a title":         "sep=;\nOur list;\nemail;name\nann@x.com;Ann\n",
		"spaces around sep":        "sep = ;\nemail;name\nann@x.com;Ann\n",
		"a header of one's own":    "contact.email,contact.name\nann@x.com,Ann\n",
		"a header with a question": "Email?,Your name\nann@x.com,Ann\n",
	} {
		good, bad, _ := readAll(t, strings.NewReader(file), nil)
		for i := range good {
			good[i].Metadata = nil
		}
		if d := cmp.Diff(ann, good); d != "" || bad != nil {
			t.Errorf("%s: %s %v", name, d, bad)
		}
	}
}

func TestAddressesAreFoundByThemselves(t *testing.T) {
	for name, c := range map[string]struct {
		file, emails string
		columns      string
	}{
		"a header in another language": {"Ainm,Seoladh,Cuideachta\nAnn,ann@x.com,Acme\nBea,bea@x.com,\n", "ann bea", "Ainm Seoladh Cuideachta"},
		"the first row has none":       {"Ann,,Acme\nBea,bea@x.com,Acme\nCia,cia@x.com,\n", "bea cia", "column_1 column_2 column_3"},
		"two columns of addresses":     {"boss@y.example,Ann,ann@x.com\n,Bea,bea@x.com\n", "ann bea", "column_1 column_2 column_3"},
		"wider rows below":             {"ann@x.com\nbea@x.com,Bea\n", "ann bea", "column_1 column_2"},
		"an unknown title and header":  {"Liosta\n\nAinm;Seoladh\nAnn;ann@x.com\n", "ann", "Ainm Seoladh"},
	} {
		good, _, r := readAll(t, strings.NewReader(c.file), nil)
		if d := cmp.Diff(c.emails, emails(good)); d != "" {
			t.Errorf("%s: %s", name, d)
		}
		if d := cmp.Diff(c.columns, strings.Join(r.Columns(), " ")); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}

func TestOfSeveralAddressesTheBestOneCountsAndTheRestAreKept(t *testing.T) {
	for name, c := range map[string]struct {
		file string
		want SignUp
	}{
		"a cell": {"email\n\"boss@acme.example, ann@gmail.com; a@acme.example\"\n",
			SignUp{Email: "ann@gmail.com", Metadata: map[string]any{"email (others)": "boss@acme.example, a@acme.example"}}},
		"Google's cell": {"E-mail 1 - Value\nboss@acme.example ::: it@acme.example\n",
			SignUp{Email: "boss@acme.example", Metadata: map[string]any{"E-mail 1 - Value (others)": "it@acme.example"}}},
		"the other column": {"E-mail 1 - Value,E-mail 2 - Value\n,ann@gmail.com\n", SignUp{Email: "ann@gmail.com"}},
		"the column by its header": {"Work Email,Email\nw@acme.example,ann@gmail.com\n",
			SignUp{Email: "ann@gmail.com", Metadata: map[string]any{"Work Email": "w@acme.example"}}},
		"one that is none": {"Email,Work Email\nn/a,w@acme.example\n",
			SignUp{Email: "w@acme.example"}},
	} {
		good, bad, _ := readAll(t, strings.NewReader(c.file), nil)
		if d := cmp.Diff([]SignUp{c.want}, good); d != "" || bad != nil {
			t.Errorf("%s: %s %v", name, d, bad)
		}
	}
}

func TestColumnsOfUsualExportsAreKnown(t *testing.T) {
	type f = []Field
	for header, want := range map[string]f{
		"First Name,Last Name,URL,Email Address,Company,Position,Connected On": {FieldFirstName, FieldLastName, FieldLinkedInURL, FieldEmail,
			FieldCompanyName, FieldMetadata, FieldMetadata},
		"Record ID,First Name,Last Name,Email,Create Date,Associated Company": {FieldID, FieldFirstName, FieldLastName, FieldEmail,
			FieldTimestamp, FieldCompanyName},
		"Given Name,Family Name,Organization 1 - Name,E-mail 1 - Value,E-mail 2 - Value,Labels": {FieldFirstName, FieldLastName, FieldCompanyName,
			FieldEmail, FieldMetadata, FieldTags},
		"First Name,Last Name,Company,E-mail Address,E-mail 2 Address,Web Page,Categories": {FieldFirstName, FieldLastName, FieldCompanyName,
			FieldEmail, FieldMetadata, FieldCompanyDomain, FieldTags},
		"E-Mail,Anrede,Vorname,Name,Firma,Angemeldet am": {FieldEmail, FieldMetadata, FieldFirstName, FieldLastName, FieldCompanyName, FieldTimestamp},
		"Nom,Prénom,Courriel,Société,Date d’inscription": {FieldLastName, FieldFirstName, FieldEmail, FieldCompanyName, FieldTimestamp},
		"Horodateur,Adresse e-mail,Nom et prénom":        {FieldTimestamp, FieldEmail, FieldFullName},
		"Nom,Adresse e-mail":                             {FieldFullName, FieldEmail},
		"Nombre,Apellidos,Correo electrónico,Empresa,Fecha de alta": {FieldFirstName, FieldLastName, FieldEmail, FieldCompanyName,
			FieldTimestamp},
		"Nombre,Correo": {FieldFullName, FieldEmail},
		"Marca temporal,Dirección de correo electrónico,Nombre y apellidos": {FieldTimestamp, FieldEmail, FieldFullName},
		"氏名,メールアドレス,会社名,登録日":                                                {FieldFullName, FieldEmail, FieldCompanyName, FieldTimestamp},
		"姓,名,Eメール,勤務先":                                                      {FieldLastName, FieldFirstName, FieldEmail, FieldCompanyName},
		"contact.email,contact.first_name,contact.company":                  {FieldEmail, FieldFirstName, FieldCompanyName},
		"Contact: E-mail,Contact: Company":                                  {FieldEmail, FieldCompanyName},
		"Subscriber First Name,Subscriber Email":                            {FieldFirstName, FieldEmail},
		"Pre\u0301nom,Courriel":                                             {FieldFirstName, FieldEmail},
	} {
		row := "ann@x.com" + strings.Repeat(",x", strings.Count(header, ","))
		if strings.Contains(header, "URL") {
			row = "Ann,Lee,https://www.linkedin.com/in/ann,ann@x.com,,,"
		}
		file, err := NewCSVReader(strings.NewReader(header+"\n"+row+"\n"), nil)
		if err != nil {
			t.Fatal(header, err)
		}
		if d := cmp.Diff(want, file.Mapping()); d != "" {
			t.Errorf("%s: %s", header, d)
		}
	}
}

func TestTagsAreReadInEveryNotation(t *testing.T) {
	for cell, want := range map[string][]string{
		`"a, b"`:                      {"a", " b"},
		`a;b`:                         {"a", "b"},
		`"[""a"",""b, c""]"`:          {"a", "b, c"},
		`"[{""name"":""a""}]"`:        {"a"},
		`* friends ::: * My Contacts`: {"friends", "My Contacts"},
		`"""a"",""b, c"""`:            {"a", "b, c"},
		`"['a', 'b c']"`:              {"a", "b c"},
		`"{a,""b c""}"`:               {"a", "b c"},
		`"'a','b c'"`:                 {"a", "b c"}, `"a，b、c"`: {"a", "b", "c"}, "\"a\nb\"": {"a", "b"}, `"rock 'n' roll"`: {"rock 'n' roll"},
		`"[draft] x, y"`: {"[draft] x", " y"},
	} {
		good, _, _ := readAll(t, strings.NewReader("email,tags\nann@x.com,"+cell+"\n"), nil)
		if d := cmp.Diff(want, good[0].Tags); d != "" {
			t.Errorf("%s: %s", cell, d)
		}
	}
}
