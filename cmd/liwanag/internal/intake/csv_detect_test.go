package intake

import (
	"strings"
	"testing"
)

func encodeAs(t testing.TB, name, text string) []byte {
	t.Helper()
	_, enc, ok := EncodingNamed(name)
	if !ok {
		t.Fatalf("no encoding %s", name)
	}
	if enc == nil {
		return []byte(text)
	}
	out, err := enc.NewEncoder().Bytes([]byte(text))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return out
}

// same are encodings that write the texts of these tests alike.
var same = map[string]string{"ISO-8859-2": "windows-1250"}

func TestTheEncodingOfAFileIsFound(t *testing.T) {
	for _, c := range []struct{ name, text string }{
		{"UTF-8", "email,name\na@x.com,Łukasz 山田 Ünal\n"},
		{"UTF-16LE", "email,name\na@x.com,Łukasz\n"}, {"UTF-32LE", "email,name\na@x.com,Łukasz\n"}, {"UTF-32BE", "email,name\na@x.com,Łukasz\n"},
		{"windows-1252", "email;vorname;ort\nuwe@gmx.de;Jürgen;Köln\nz@free.fr;Zoé;Société “Léon” – 5 €\ns@x.dk;Søren;Ærø\no@x.ie;Niamh;O’Brien\n"},
		{"windows-1252", "email,name\na@x.es,Íñigo Muñoz\nb@x.pt,João Conceição\nc@x.is,Þórður\n"},
		{"windows-1252", "email,name\na@x.com,Chloé\n"}, {"windows-1252", "email,price\na@x.com,5 €\n"},
		{"macintosh", "email;first name;company\nzoe@gmail.com;Zoë;Café Société\n"},
		{"macintosh", "email,name\na@x.com,Jürgen\nb@x.com,Núñez\nc@x.com,Élodie Lefèvre\n"},
		{"IBM850", "email,name\na@x.com,Jürgen Müller\nb@x.com,Zoë Société\nc@x.com,Élodie Lefèvre\n"},
		{"windows-1250", "email;imię;nazwisko\njan@wp.pl;Łukasz;Żółć\n"},
		{"windows-1250", "email;jméno\na@seznam.cz;Jiří Dvořák\nb@seznam.cz;Zdeněk Štěpán\nc@seznam.cz;Růžena Nováková\n"},
		{"windows-1254", "email;ad\na@x.com;Güneş Işık\nb@x.com;Kılıç Şahin Doğan\n"},
		{"windows-1251", "email;имя;фамилия\nivan@mail.ru;Иван;Петров\n"},
		{"KOI8-R", "email;имя;фамилия\nivan@mail.ru;Иван;Петров\nanna@mail.ru;Анна;Смирнова\n"},
		{"IBM866", "email;имя;фамилия\nivan@mail.ru;Иван;Петров\nanna@mail.ru;Анна;Смирнова\n"},
		{"windows-1253", "email;όνομα\na@x.gr;Γιώργος Παπαδόπουλος\nb@x.gr;Μαρία Νικολάου\n"},
		{"Shift_JIS", "メールアドレス,姓,名\ntaro@yahoo.co.jp,山田,太郎\n"}, {"Shift_JIS", "email,name,company\nso@yahoo.co.jp,ソ,表示能\n"},
		{"Shift_JIS", "email,last name\ntaro@yahoo.co.jp,山田太郎\n"},
		{"EUC-JP", "メールアドレス,姓,名\ntaro@yahoo.co.jp,山田,太郎\n"}, {"ISO-2022-JP", "email,name\ntaro@yahoo.co.jp,山田\n"},
		{"GB18030", "邮箱,姓名,公司,城市\nwei@qq.com,王伟,北京科技有限公司,北京\nli@163.com,李娜,上海信息技术有限公司,上海\nzhang@qq.com,张伟,广州贸易有限公司,广州\n"},
		{"EUC-KR", "이메일,이름,회사\nkim@naver.com,김철수,삼성전자 주식회사\nlee@naver.com,이영희,서울대학교 병원\npark@daum.net,박민수,한국은행 본점\n"},
		{"Big5", "電子郵件,姓名,公司\nchen@yahoo.com.tw,陳小明,台灣積體電路製造股份有限公司\nlin@yahoo.com.tw,林志玲,中華電信股份有限公司\n"},
	} {
		found := detect(encodeAs(t, c.name, c.text))
		if s := same[found.name]; s != "" {
			found.name = s
		}
		if found.name != c.name || found.doubts != nil {
			t.Errorf("%s taken for %s, doubts %v: %.60q", c.name, found.name, found.doubts, c.text)
		}
	}
}

// Short texts may be in doubt: then the right one is among the candidates.
func TestWhatIsNotClearIsNotGuessed(t *testing.T) {
	for _, c := range []struct{ name, text string }{
		{"GB18030", "email,name\nwei@qq.com,王伟\n"}, {"EUC-KR", "email,name\nkim@naver.com,김철수\n"}, {"Big5", "email,name\nchen@yahoo.com.tw,陳小明\n"},
		{"EUC-JP", "email,name\ntaro@yahoo.co.jp,山田 太郎\n"}, {"windows-1250", "email;jméno\na@seznam.cz;Zdeněk\n"},
		{"windows-1254", "email,name\na@x.com.tr,Doğan\n"}, {"windows-1257", "email,name\na@x.lt,Šarūnas Žukauskas\n"},
		{"windows-1254", "email,name\na@x.com,Şule Ğül\nb@x.com,İbrahim Çelik\n"},
	} {
		found := detect(encodeAs(t, c.name, c.text))
		if found.name != c.name && !strings.Contains(strings.Join(found.doubts, " "), c.name) {
			t.Errorf("%s taken for %s, doubts %v: %.60q", c.name, found.name, found.doubts, c.text)
		}
	}
}
