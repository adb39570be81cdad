package liwanag

import "testing"

func TestMistypedDomainsOfBigProvidersAreRecognised(t *testing.T) {
	d := BuiltinDomains()
	for domain, meant := range map[string]string{
		"gmial.com": "gmail.com", "gmail.con": "gmail.com", "gmai.com": "gmail.com", "gamil.com": "gmail.com", "gmaill.com": "gmail.com",
		"gnail.com": "gmail.com", "gmail.co": "gmail.com", "gmail.cm": "gmail.com", "gmail.comm": "gmail.com", "gmial.con": "gmail.com",
		"gmailcom": "gmail.com", "hotmial.com": "hotmail.com", "hotmai.com": "hotmail.com", "homail.com": "hotmail.com",
		"hotmail.con": "hotmail.com", "hotmial.fr": "hotmail.fr", "yaho.com": "yahoo.com", "yahooo.com": "yahoo.com", "yhaoo.com": "yahoo.com",
		"yaho.co.uk": "yahoo.co.uk", "outlok.com": "outlook.com", "outlook.con": "outlook.com", "iclould.com": "icloud.com",
		"icoud.com": "icloud.com", "googlemial.com": "googlemail.com",
		// Right as they are, or nobody's slip.
		"gmail.com": "", "hotmail.co.uk": "", "yahoo.co.jp": "", "mail.com": "", "ymail.com": "", "gmx.de": "", "acme.example": "",
		"email.com": "", "gmail.acme.example": "", "gmail.de": "", "outlook.acme.com": "", "hotel.com": "", "": "", "com": "",
	} {
		if got := d.MistypedFor(domain); got != meant {
			t.Errorf("%s is taken for %q", domain, got)
		}
	}
}
