package liwanag_test

import (
	"strings"
	"testing"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

// namePairs are what was stated, what was found, and whether they are one name; a
// slash parts given from family names.
var namePairs = []struct{ stated, found, want string }{
	{"Ada Lovelace", "Ada Lovelace", "yes"},
	{"ada lovelace", "ADA LOVELACE", "yes"},
	{"Lovelace, Ada", "Ada Lovelace", "yes"},
	{"Lovelace Ada", "Ada/Lovelace", "yes"},
	{"José García", "Jose Garcia", "yes"},
	{"Jürgen Müller", "Juergen Mueller", "yes"},
	{"Jurgen Muller", "Jürgen Müller", "yes"},
	{"Søren Sørensen", "Soren Soerensen", "yes"},
	{"Łukasz Wałęsa", "Lukasz Walesa", "yes"},
	{"Jean-Pierre Dupont", "Jean Pierre Dupont", "yes"},
	{"Jeanpierre Dupont", "Jean-Pierre Dupont", "yes"},
	{"Sinéad O'Connor", "Sinead OConnor", "yes"},
	{"Sinead O’Connor", "Sinead O Connor", "yes"},
	{"A. Lovelace", "Ada Lovelace", "yes"},
	{"Ada L.", "Ada Lovelace", "yes"},
	{"J. R. R. Tolkien", "John Ronald Reuel Tolkien", "yes"},
	{"John Tolkien", "John R. R. Tolkien", "yes"},
	{"Ludwig van Beethoven", "Ludwig Beethoven", "yes"},
	{"Vandenberg, Anna", "Anna van den Berg", "yes"},
	{"Oscar de la Cruz", "Oscar Dela Cruz", "yes"},
	{"Bob Smith", "Robert Smith", "yes"},
	{"Bill Gates", "William Henry Gates III", "yes"},
	{"Liz Taylor", "Elizabeth Taylor", "yes"},
	{"Pepe Ruiz", "José Ruiz", "yes"},
	{"Саша Иванов", "Александр Иванов", "yes"},
	{"Dr. Ann Lee, PhD", "Ann Lee", "yes"},
	{"Robert (Bob) Smith", "Bob Smith", "yes"},
	{"María García", "María García López", "yes"},
	{"Mary Ann Lee", "Maryann Lee", "yes"},
	{"Ben Stiller", "Benjamin Stiller", "yes"},
	{"山田/太郎", "太郎 山田", "yes"},
	{"김/민준", "민준 김", "yes"},

	{"Ada Lovelace", "Charles Babbage", "no"},
	{"Ann Lee", "Carlos Ruiz", "no"},
	{"Maria Santos", "Juan dela Cruz", "no"},
	{"Jan de Vries", "Piet de Boer", "no"},
	{"Иван Петров", "Олег Сидоров", "no"},
	{"Γιώργος Παπαδόπουλος", "Νίκος Αλεξίου", "no"},
	{"Dr. Ann Lee", "Dr. Max Ruiz", "no"},
	{"Karl-Heinz Meyer", "Anne Sophie Weber", "no"},
	{"Bob Smith", "William Jones", "no"},
	{"山田/太郎", "鈴木/一郎", "no"},

	{"Ada", "Ada Lovelace", "unknown"},
	{"Ada", "Charles Babbage", "unknown"},
	{"Ada Lovelace", "", "unknown"},
	{"", "Ada Lovelace", "unknown"},
	{"", "", "unknown"},
	{"Ada Lovelace", "Ada King", "unknown"},
	{"Ann Lee", "Bob Lee", "unknown"},
	{"J. Smith", "John Miller", "unknown"},
	{"A. L.", "Charles Babbage", "unknown"},
	{"山田太郎", "鈴木一郎", "unknown"},
	{"山田/太郎", "Taro Yamada", "unknown"},
	{"やまだ/たろう", "山田/太郎", "unknown"},
	{"Иван Петров", "John Miller", "unknown"},
	{"Sales Team", "Ada Lovelace", "unknown"},
	{"Acme GmbH", "Ada Lovelace", "unknown"},
	{"Info Desk", "Ada Lovelace", "unknown"},
	{"ada@lovelace.example", "Charles Babbage", "unknown"},
	{"Ada Ада", "Charles Babbage", "unknown"},
	{"user 1234", "Ada Lovelace", "unknown"},
	{"- .", "Ada Lovelace", "unknown"},
}

func TestNamesAreComparedAsPeopleDo(t *testing.T) {
	names := func(text string) liwanag.Names {
		if first, last, parted := strings.Cut(text, "/"); parted {
			return liwanag.Names{First: first, Last: last}
		}
		return liwanag.Names{Full: text}
	}
	if len(namePairs) < 60 {
		t.Fatalf("only %d pairs", len(namePairs))
	}
	for _, p := range namePairs {
		for _, pair := range [][2]string{{p.stated, p.found}, {p.found, p.stated}} {
			if got := liwanag.MatchNames(names(pair[0]), names(pair[1])); string(got) != p.want {
				t.Errorf("%q and %q: %s, want %s", pair[0], pair[1], got, p.want)
			}
		}
	}
}
