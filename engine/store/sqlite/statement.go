package sqlite

import (
	"fmt"
	"slices"
	"strings"
)

// refusedWords begin statements that would end the transaction, begin another one, or
// reach beyond the file or its settings.
var refusedWords = []string{"BEGIN", "COMMIT", "END", "ROLLBACK", "SAVEPOINT", "RELEASE", "ATTACH", "DETACH", "VACUUM", "PRAGMA"}

// allowed says whether every statement of a text may be run in a transaction that others
// wait for.
func allowed(text string) error {
	s := statements{rest: strings.ReplaceAll(text, "\ufeff", " ")} // which is blank to SQLite
	for first := s.first(); first != ""; first = s.first() {
		if slices.Contains(refusedWords, first) {
			return fmt.Errorf("%w: %s\n  Try: Write begins and ends the transaction; settings and other files are none of it",
				ErrStatement, first)
		}
	}
	return nil
}

// statements reads the words of a text of SQL.
type statements struct{ rest string }

// first is the first word of the next statement, in upper case; it goes on behind it.
func (s *statements) first() (word string) {
	for word = s.word(); word == ";"; word = s.word() {
	}
	trigger := word == "CREATE"
	for i, before, last := 0, "", ""; ; i++ {
		next := s.word()
		switch {
		case next == "":
			return word
		case trigger && i < 2: // CREATE TEMP TRIGGER
			trigger = next == "TRIGGER" || i == 0 && (next == "TEMP" || next == "TEMPORARY")
			if next == "TRIGGER" {
				i = 2
			}
		case next == ";" && (!trigger || before == ";" && last == "END"):
			return word
		}
		before, last = last, next
	}
}

// word is the next word in upper case, or sign; empty at the end.
func (s *statements) word() string {
	for s.rest != "" {
		switch c := s.rest[0]; {
		case strings.HasPrefix(s.rest, "--"):
			s.skipTo("\n", 2)
		case strings.HasPrefix(s.rest, "/*"):
			s.skipTo("*/", 2)
		case c == '\'' || c == '"' || c == '`':
			s.skipTo(string(c), 1)
			return "'"
		case c == '[':
			s.skipTo("]", 1)
			return "'"
		case isWord(c):
			n := 0
			for n < len(s.rest) && isWord(s.rest[n]) {
				n++
			}
			word := strings.ToUpper(s.rest[:n])
			s.rest = s.rest[n:]
			return word
		default:
			s.rest = s.rest[1:]
			if !strings.ContainsRune(" \t\r\n\f\v", rune(c)) && c < 0x80 {
				return string(c)
			}
		}
	}
	return ""
}

// skipTo goes on behind the next end, looked for behind so many bytes.
func (s *statements) skipTo(end string, from int) {
	i := strings.Index(s.rest[from:], end)
	if i < 0 {
		s.rest = ""
		return
	}
	s.rest = s.rest[from+i+len(end):]
}

func isWord(c byte) bool {
	return c >= 0x80 || c == '_' || c == '$' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}
