package intake

import (
	"strings"
	"testing"
)

func TestAnAddressIsFoundInWhatSurroundsIt(t *testing.T) {
	for _, c := range []struct{ cell, address, name string }{
		{"ann@x.com", "ann@x.com", ""},
		{"'ann'@x.com", "'ann'@x.com", ""},
		{"\u200bann@x.com", "ann@x.com", ""},
		{"an\u00adn@x.com\u200e", "ann@x.com", ""},
		{"\u202aann@x.com\u202c", "ann@x.com", ""},
		{"ann@x.com\u00a0", "ann@x.com", ""},
		{"mailto:ann@x.com", "ann@x.com", ""},
		{"MAILTO: ann@x.com?subject=hi", "ann@x.com", ""},
		{"mailto:ann%40x.com?subject=hi", "ann@x.com", ""},
		{"ann@x.com?subject=hi", "ann@x.com", ""},
		{"E-Mail: ann@x.com", "ann@x.com", ""},
		{"Correo electrónico: ann@x.com", "ann@x.com", ""},
		{"To: ann@x.com", "To: ann@x.com", ""},
		{"<ann@x.com>", "ann@x.com", ""},
		{"<mailto:ann@x.com>", "ann@x.com", ""},
		{"Ann Lee <ann@x.com>", "ann@x.com", "Ann Lee"},
		{"\"Lee, Ann\" <ann@x.com>;", "ann@x.com", "Lee, Ann"},
		{"ann@x.com (Ann)", "ann@x.com", "Ann"},
		{"'ann@x.com'", "ann@x.com", ""},
		{"“ann@x.com”", "ann@x.com", ""},
		{"[ann@x.com]", "ann@x.com", ""},
		{"ann@x.com.", "ann@x.com", ""},
		{"ann@x.com,", "ann@x.com", ""},
		{"ann@x.com ; ", "ann@x.com", ""},
		{"ann＠x.com", "ann@x.com", ""},
		{"ａｎｎ＠ｘ．ｃｏｍ", "ann@x.com", ""},
		{"Exported by ann@x.com", "Exported by ann@x.com", ""},
		{"ann@x.com; bea@x.com", "ann@x.com; bea@x.com", ""},
		{"Ann <ann@x.com> <bea@x.com>", "Ann <ann@x.com> <bea@x.com>", ""},
		{"no address", "no address", ""},
		{"", "", ""},
	} {
		if address, name := addressCell(c.cell); address != c.address || name != c.name {
			t.Errorf("%q: %q, %q", c.cell, address, name)
		}
	}
}

// In a column of addresses one is found in other texts too, and never half of one.
func TestOneAddressIsFoundInAText(t *testing.T) {
	for cell, address := range map[string]string{
		"(ann@x.com)": "ann@x.com", "{ann@x.com}": "ann@x.com", "ann@x.com - home": "ann@x.com", "smtp:ann@x.com": "ann@x.com",
		"To: ann@x.com": "ann@x.com", "Ann <ann@x.com> (private)": "ann@x.com", "&lt;ann@x.com&gt;": "ann@x.com",
		`<a href="mailto:ann@x.com">ann@x.com</a>`: "ann@x.com", `=HYPERLINK("mailto:ann@x.com")`: "ann@x.com",
		"[ann@x.com](mailto:Ann@x.com)": "ann@x.com", "o'neil@x.com (new)": "o'neil@x.com", "Jörg: jörg@x.com!": "jörg@x.com",
		"ann lee@x.com": "", "ann@x.co .uk": "", "ann@x@y.com": "", "ann@x.com_old": "", "https://u:pass@x.com/a": "",
		"Exported by ann@x.com": "", "a@x.com or b@x.com": "", "ann@": "", "@x.com": "", "@": "", "x@y": "",
	} {
		if found, _ := addressWithin(cell); found != address {
			t.Errorf("%q: %q", cell, found)
		}
	}
	good, bad, _ := readAll(t, strings.NewReader("email,name\n(ann@x.com),Ann\n\"bea@x.com – home, old\",Bea\nbea lee@x.com,No\n"), nil)
	if emails(good) != "ann bea" || len(bad) != 1 || good[1].Metadata["email (others)"] != "bea@x.com – home, old" {
		t.Errorf("%+v, bad rows %v", good, bad)
	}
}

func TestAFileOfNamesAndAddressesNeedsNoHeader(t *testing.T) {
	good, bad, _ := readAll(t, strings.NewReader("Ann Lee <ann@x.com>\n\"Roe, Bea\" <bea@x.com>\n\ncia@x.com;\n"), nil)
	if emails(good) != "ann bea cia" || bad != nil {
		t.Fatalf("%+v, bad rows %v", good, bad)
	}
	if good[0].FullName != "Ann Lee" || good[1].FullName != "Roe, Bea" {
		t.Errorf("%+v", good)
	}
}

func TestOfSeveralColumnsOfAddressesAPersonalOneIsThePersons(t *testing.T) {
	for name, file := range map[string]string{
		"known headers":   "name,email,Personal Email\nAnn,ann@acme.example,ann@gmail.com\nBea,bea@gmail.com,bea2@gmail.com\nCia,cia@acme.example,\n",
		"unknown headers": "Imię,Służbowy,Prywatny\nAnn,ann@acme.example,ann@gmail.com\nBea,bea@gmail.com,\nCia,cia@acme.example,none\n",
		"no header":       "Ann,ann@acme.example,ann@gmail.com\nBea,bea@gmail.com,\nCia,cia@acme.example,none\n",
	} {
		good, bad, _ := readAll(t, strings.NewReader(file), nil)
		var got []string
		for _, s := range good {
			got = append(got, s.Email)
		}
		if strings.Join(got, " ") != "ann@gmail.com bea@gmail.com cia@acme.example" || bad != nil {
			t.Errorf("%s: %v, %v", name, got, bad)
		}
		kept := false
		for _, value := range good[0].Metadata {
			kept = kept || value == "ann@acme.example"
		}
		if !kept {
			t.Errorf("%s: the other address is lost: %v", name, good[0].Metadata)
		}
	}
}
