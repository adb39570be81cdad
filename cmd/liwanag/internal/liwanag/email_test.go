package liwanag

import (
	"errors"
	"net/mail"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestParseEmailNormalizes(t *testing.T) {
	cases := map[string]Email{
		"ann@gmail.com":               {"ann@gmail.com", "ann@gmail.com", "gmail.com"},
		"  Ann.Lee+News@GMail.COM\n":  {"Ann.Lee+News@gmail.com", "ann.lee+news@gmail.com", "gmail.com"},
		"o'neil_1@mail.example.co.uk": {"o'neil_1@mail.example.co.uk", "o'neil_1@mail.example.co.uk", "mail.example.co.uk"},
		"jose\u0301@example.com":      {"jos\u00e9@example.com", "jos\u00e9@example.com", "example.com"},
		"Info@Bücher.example":         {"Info@xn--bcher-kva.example", "info@xn--bcher-kva.example", "xn--bcher-kva.example"},
		"info@XN--BCHER-KVA.example":  {"info@xn--bcher-kva.example", "info@xn--bcher-kva.example", "xn--bcher-kva.example"},
		"иван@почта.рф":               {"иван@xn--80a1acny.xn--p1ai", "иван@xn--80a1acny.xn--p1ai", "xn--80a1acny.xn--p1ai"},
		"ann@１６３.com":                 {"ann@163.com", "ann@163.com", "163.com"},
		"\u00a0ann@gmail.com\u00a0":   {"ann@gmail.com", "ann@gmail.com", "gmail.com"},
		strings.Repeat("a", 64) + "@" + strings.Repeat("b.", 93) + "com": {
			strings.Repeat("a", 64) + "@" + strings.Repeat("b.", 93) + "com",
			strings.Repeat("a", 64) + "@" + strings.Repeat("b.", 93) + "com",
			strings.Repeat("b.", 93) + "com"},
	}
	for raw, want := range cases {
		got, err := ParseEmail(raw)
		if err != nil {
			t.Errorf("%q: %v", raw, err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%q: %s", raw, d)
		}
	}
}

// refusedAddresses are addresses, and a word of why each is refused.
var refusedAddresses = map[string]string{
	"":                                           "empty",
	" \t ":                                       "empty",
	"secretperson":                               "no @",
	"@secret.example":                            "before the @",
	"secret@":                                    "domain",
	"secret@localhost":                           "domain",
	"secret@127.0.0.1":                           "domain",
	"secret@[127.0.0.1]":                         "domain",
	"secret@exa_mple.com":                        "domain",
	"secret@-example.com":                        "domain",
	"secret@example-.com":                        "domain",
	"secret@example..com":                        "domain",
	"secret@example.com.":                        "domain",
	"secret@.example.com":                        "domain",
	"secret@ab--cd.com":                          "domain",
	"secret@xn--a.com":                           "domain",
	"secret@ex%61mple.com":                       "domain",
	"secret@a.com, other@b.com":                  "one address",
	"secret@a.com;other@b.com":                   "one address",
	"secret@a.com@b.com":                         "one address",
	"secret@a.com other@b.com":                   "space",
	"sec ret@a.com":                              "space",
	"Sec Ret <secret@a.com>":                     "space",
	"Secret<secret@a.com>":                       "display name",
	"secret(x)@a.com":                            "display name",
	`"secret"@a.com`:                             "not allowed",
	`sec\ret@a.com`:                              "not allowed",
	"mailto:secret@a.com":                        "not allowed",
	".secret@a.com":                              "dot",
	"secret.@a.com":                              "dot",
	"sec..ret@a.com":                             "dot",
	"sec\x00ret@a.com":                           "control",
	"sec\nret@a.com":                             "control",
	"sec\x7fret@a.com":                           "control",
	"sec\u202eret@a.com":                         "invisible",
	"sec\u200bret@a.com":                         "invisible",
	"sec\ufffdret@a.com":                         "invisible",
	"sec\xffret@a.com":                           "UTF-8",
	strings.Repeat("s", 65) + "@a.com":           "64 bytes",
	strings.Repeat("secret", 50) + "@a.com":      "254 bytes",
	"secret@" + strings.Repeat("b", 64) + ".com": "domain",
	strings.Repeat("\u023a", 32) + "@secret.com": "too long", // grows when lower-cased
	strings.Repeat("\u023a", 20) + "@" + strings.Repeat("b.", 95) + "secret.com": "too long", // only its key is
	strings.Repeat("\u1e9e", 20) + "@" + strings.Repeat("ü.", 24) + "secret.com": "too long", // its key is not
	"secret@" + strings.Repeat("ü.", 30) + "secret.com":                          "too long", // grows as punycode
}

func TestParseEmailRefusesWithoutRepeatingTheAddress(t *testing.T) {
	for raw, reason := range refusedAddresses {
		_, err := ParseEmail(raw)
		if !errors.Is(err, ErrInvalidEmail) || ClassOf(err) != Invalid {
			t.Errorf("%q: got %v, want ErrInvalidEmail", raw, err)
			continue
		}
		if !strings.Contains(err.Error(), reason) {
			t.Errorf("%q: reason %q lacks %q", raw, err, reason)
		}
		if strings.Contains(strings.ToLower(err.Error()), "secret") {
			t.Errorf("%q: the error repeats the address: %v", raw, err)
		}
	}
}

func TestParseEmailLengthLimitIsExact(t *testing.T) {
	at := func(n int) string {
		return "a@" + strings.Repeat("b.", (n-5)/2) + strings.Repeat("c", 3+(n-5)%2)
	}
	if _, err := ParseEmail(at(254)); err != nil {
		t.Errorf("254 bytes: %v", err)
	}
	if _, err := ParseEmail(at(255)); err == nil {
		t.Error("255 bytes were accepted")
	}
}

// checkParsed holds for every accepted address; net/mail is the second opinion.
func checkParsed(t interface{ Fatalf(string, ...any) }, raw string) {
	e, err := ParseEmail(raw)
	if err != nil {
		if e != (Email{}) {
			t.Fatalf("%q: an address beside an error", raw)
		}
		return
	}
	if again, err := ParseEmail(e.Address); err != nil || again != e {
		t.Fatalf("%q: parsing Address again gives %v, %v", raw, again, err)
	}
	key, err := ParseEmail(e.Key)
	if err != nil || key.Key != e.Key || key.Address != e.Key {
		t.Fatalf("%q: the key %q is not stable: %v, %v", raw, e.Key, key, err)
	}
	if !strings.HasSuffix(e.Address, "@"+e.Domain) {
		t.Fatalf("%q: %q does not end in %q", raw, e.Address, e.Domain)
	}
	a, err := mail.ParseAddress(e.Address)
	if err != nil || a.Address != e.Address || a.Name != "" {
		t.Fatalf("%q: net/mail reads %v, %v", raw, a, err)
	}
}

func TestParsedAddressesAreStable(t *testing.T) {
	gen := rapid.OneOf(
		rapid.StringMatching(`[a-zA-Z0-9.+_'-]{1,20}@([a-zA-Z0-9-]{1,8}\.){1,3}[a-zA-Z]{2,4}`),
		rapid.Custom(func(t *rapid.T) string {
			return rapid.String().Draw(t, "local") + "@" + rapid.String().Draw(t, "label") + ".com"
		}),
	)
	rapid.Check(t, func(t *rapid.T) { checkParsed(t, gen.Draw(t, "raw")) })
}

func FuzzParseEmail(f *testing.F) {
	for _, s := range []string{"ann@gmail.com", "Ann <ann@gmail.com>", "иван@почта.рф", "İ@a.com", "K@a.com", "a@xn--bcher-kva.de"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) { checkParsed(t, raw) })
}

func TestClassify(t *testing.T) {
	d, err := BuiltinDomains().With(strings.NewReader("\uFEFF# ours\n\nPost.Example # a comment\r\nпочта.рф\n"))
	if err != nil {
		t.Fatal(err)
	}
	personal := []string{"gmail.com", "googlemail.com", "outlook.com", "hotmail.co.uk", "live.fr", "msn.com", "yahoo.com",
		"yahoo.co.jp", "ymail.com", "aol.com", "icloud.com", "me.com", "proton.me", "protonmail.com", "gmx.de", "web.de",
		"mail.ru", "yandex.ru", "qq.com", "vip.qq.com", "163.com", "naver.com", "orange.fr", "libero.it", "t-online.de",
		"comcast.net", "uol.com.br", "GMAIL.com", "post.example", "xn--80a1acny.xn--p1ai", "почта.рф"}
	corporate := []string{"example.com", "google.com", "microsoft.com", "yahoo-inc.com", "corp.mail.ru", "mail.gmail.com",
		"notgmail.com", "gmail.com.example.org", "acme.onmicrosoft.com", "", "not a domain"}
	for _, domain := range personal {
		if got := d.Classify(domain); got != Personal {
			t.Errorf("%s is %s", domain, got)
		}
	}
	for _, domain := range corporate {
		if got := d.Classify(domain); got != Corporate {
			t.Errorf("%s is %s", domain, got)
		}
	}
	if BuiltinDomains().Classify("post.example") != Corporate {
		t.Error("With changed the list it was called on")
	}
}

func TestBuiltinListHasOneSpellingOfEachDomain(t *testing.T) {
	var seen []string
	for line := range strings.Lines(personalDomains) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if normal, ok := normalizeDomain(line); !ok || normal != line {
			t.Errorf("%q is not a normalized domain", line)
		}
		if slices.Contains(seen, line) {
			t.Errorf("%q stands twice", line)
		}
		seen = append(seen, line)
	}
	if len(seen) < 150 {
		t.Errorf("only %d domains", len(seen))
	}
}

func TestLoadDomainsNamesEveryWrongLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "domains")
	if err := os.WriteFile(path, []byte("good.example\nnot a domain\n# fine\nuser@example.com\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := LoadDomains(path)
	if err == nil || !strings.Contains(err.Error(), "line 2") || !strings.Contains(err.Error(), "line 4") ||
		strings.Contains(err.Error(), "line 3") {
		t.Errorf("got %v", err)
	}
	if _, err := LoadDomains(path + "-missing"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
	if err := os.WriteFile(path, []byte("good.example\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	d, err := LoadDomains(path)
	if err != nil || d.Classify("good.example") != Personal || d.Classify("gmail.com") != Personal {
		t.Errorf("file and built-in list together: %v", err)
	}
}

func BenchmarkParseEmail(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseEmail("Ann.Lee+news@GMail.com"); err != nil {
			b.Fatal(err)
		}
	}
}
