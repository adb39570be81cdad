package intake

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/liwanag/liwanag/internal/intake/csvsafe"
	"github.com/liwanag/liwanag/internal/liwanag"
)

// Field is what a column of an uploaded file means.
type Field string

// The fields a column can be mapped to.
const (
	FieldEmail         Field = "email"
	FieldSource        Field = "source"
	FieldID            Field = "id"
	FieldFirstName     Field = "firstName"
	FieldLastName      Field = "lastName"
	FieldFullName      Field = "fullName"
	FieldCompanyName   Field = "companyName"
	FieldCompanyDomain Field = "companyDomain"
	FieldLinkedInURL   Field = "linkedinUrl"
	FieldTags          Field = "tags"
	FieldTimestamp     Field = "timestamp"
	// FieldMetadata keeps the column under its own name.
	FieldMetadata Field = "metadata"
	// FieldMetadataObject merges a column that holds JSON objects into the
	// metadata.
	FieldMetadataObject Field = "metadataObject"
	// FieldIgnore leaves the column out.
	FieldIgnore Field = "ignore"
)

// aliases are the headers people write, reduced by headerKey, the most telling
// first: of several columns that could be one field, the one whose alias comes
// first is taken, and the others are kept as metadata.
var aliases = map[Field][]string{
	FieldEmail: {"email", "emailaddress", "mail", "subscriberemail", "contactemail", "primaryemail", "useremail", "emailaddr",
		"mailaddress", "personalemail", "email1", "emails", "emailid", "memberemail", "customeremail", "workemail",
		"correo", "correoelectronico", "correoelectrónico", "email地址", "courriel", "adresseemail", "adressemail",
		"adresseelectronique", "adresseélectronique", "emailadresse", "mailadresse", "epost", "epostadresse", "epostadress",
		"emailadres", "eposta", "indirizzoemail", "postaelettronica", "endereçodeemail", "enderecodeemail", "adresemail",
		"sähköposti", "почта", "электроннаяпочта", "элпочта", "メール", "メールアドレス", "电子邮件", "电子邮箱", "邮箱", "이메일"},
	FieldFirstName: {"firstname", "givenname", "forename", "first", "fname", "vorname", "prénom", "prenom", "nombre", "nome",
		"voornaam", "imię", "имя", "名"},
	FieldLastName: {"lastname", "surname", "familyname", "last", "lname", "nachname", "nomdefamille", "apellido", "apellidos",
		"cognome", "sobrenome", "achternaam", "nazwisko", "фамилия", "姓"},
	FieldFullName: {"fullname", "name", "contactname", "displayname", "subscribername", "nomcomplet", "nombrecompleto",
		"nomecompleto", "vollständigername", "名前", "姓名"},
	FieldCompanyName: {"companyname", "company", "organization", "organisation", "organizationname", "employer", "account",
		"accountname", "firma", "unternehmen", "société", "societe", "entreprise", "empresa", "azienda", "bedrijf", "компания"},
	FieldCompanyDomain: {"companydomain", "domain", "companywebsite", "website", "companyurl", "webseite", "siteweb", "sitioweb"},
	FieldLinkedInURL:   {"linkedinurl", "linkedin", "linkedinprofile", "linkedinprofileurl", "personlinkedinurl", "linkedinlink"},
	FieldSource:        {"source", "signupsource", "leadsource", "origin", "channel", "quelle", "fuente", "origen"},
	FieldTags:          {"tags", "tag", "labels", "etiquetas", "schlagworte"},
	FieldTimestamp: {"timestamp", "subscribedat", "signedupat", "signupdate", "optintime", "confirmtime", "createdat", "created",
		"joinedat", "datejoined", "subscribedate", "subscriptiondate"},
	FieldID: {"externalid", "subscriberid", "memberid", "contactid", "userid", "customerid", "id", "uuid"},
}

// headerKey reduces a header to what tells: lower-cased, without spaces and the
// punctuation people put into names. Delimiters stay, so that a whole header
// line is never taken for one column.
func headerKey(header string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || strings.ContainsRune("_-.:()[]*#'’", r) {
			return -1
		}
		return unicode.ToLower(r)
	}, header)
}

// guessMapping finds the meaning of each column by its header. A file that was
// exported by ours comes back column by column, without what was looked up.
func guessMapping(columns []string) []Field {
	if mapping := exportedMapping(columns); mapping != nil {
		return mapping
	}
	mapping := make([]Field, len(columns))
	best := map[Field]struct{ column, rank int }{}
	for i, column := range columns {
		mapping[i] = FieldMetadata
		if strings.TrimSpace(column) == "" {
			mapping[i] = FieldIgnore
		}
		field, rank, ok := lookAlias(column)
		if !ok {
			continue
		}
		if old, taken := best[field]; !taken || rank < old.rank {
			best[field] = struct{ column, rank int }{i, rank}
		}
	}
	for field, at := range best {
		mapping[at.column] = field
	}
	return mapping
}

// override puts the given meanings over the guessed ones. A field belongs to one
// column: where it was guessed elsewhere, that column becomes metadata.
func override(mapping []Field, columns []string, given map[string]Field) []Field {
	for i, column := range columns {
		field, ok := given[column]
		if !ok {
			continue
		}
		for j, other := range mapping {
			if other == field && field != FieldMetadata && field != FieldIgnore {
				mapping[j] = FieldMetadata
			}
		}
		mapping[i] = field
	}
	return mapping
}

func lookAlias(column string) (Field, int, bool) {
	key := headerKey(column)
	for field, names := range aliases {
		for rank, name := range names {
			if key == name {
				return field, rank, true
			}
		}
	}
	return "", 0, false
}

// head is how the file begins.
type head struct {
	delim   byte
	columns []string
	mapping []Field
	// dataFrom is the record with the first data: 0 when there is no header, else
	// 1, one more behind an Excel "sep=" line.
	dataFrom int
}

// readHead guesses the delimiter, and whether there is a header, from a sample
// of the beginning. given says what columns mean, by name, whatever their
// headers suggest.
func readHead(sample []byte, given map[string]Field) (head, error) {
	var best head
	bestScore := -1
	var fault error = &FileError{"no_email_column", "no column is named like an e-mail address: name one \"email\", or give a mapping"}
	sep, skip := excelSeparator(sample)
	for _, delim := range []byte{',', ';', '\t', '|'} {
		if sep != 0 && delim != sep {
			continue
		}
		h, score, err := tryHead(sample, delim, skip, given)
		if err != nil {
			if _, tooMany := err.(*FileError); tooMany {
				fault = err
			}
			continue
		}
		if score > bestScore {
			best, bestScore = h, score
		}
	}
	if bestScore < 0 {
		return head{}, fault
	}
	return best, checkMapping(best.columns, given)
}

// checkMapping finds what is wrong with a mapping by itself.
func checkMapping(columns []string, given map[string]Field) error {
	taken := map[Field]bool{}
	for column, field := range given {
		_, known := aliases[field]
		free := field == FieldMetadata || field == FieldMetadataObject || field == FieldIgnore
		switch {
		case !slices.Contains(columns, column):
			return &FileError{"bad_mapping", "the mapping names a column that the file does not have"}
		case !known && !free:
			return &FileError{"bad_mapping", "the mapping names a field that does not exist"}
		case known && taken[field]:
			return &FileError{"bad_mapping", "the mapping gives one field to two columns"}
		}
		taken[field] = true
	}
	return nil
}

// excelSeparator reads the line "sep=;" that Excel understands.
func excelSeparator(sample []byte) (sep byte, skip int) {
	line := sample
	if i := bytes.IndexAny(sample, lineEnds); i >= 0 {
		line = sample[:i]
	}
	if len(line) == 5 && bytes.EqualFold(line[:4], []byte("sep=")) && strings.IndexByte(",;\t|", line[4]) >= 0 {
		return line[4], 1
	}
	return 0, 0
}

// tryHead reads the first records with one delimiter. The score counts the
// columns that were understood, and then those that there are.
func tryHead(sample []byte, delim byte, skip int, given map[string]Field) (head, int, error) {
	s := &splitter{src: bytes.NewReader(sample), delim: delim, line: 1}
	for range skip {
		if _, _, err := s.next(); err != nil {
			return head{}, 0, err
		}
	}
	fields, records, err := []string(nil), skip, error(nil)
	for {
		if fields, _, err = s.next(); err != nil {
			return head{}, 0, headFault(err)
		}
		records++
		if !blank(fields) {
			break
		}
	}
	if len(fields) == 1 && strings.IndexByte(fields[0], delim) >= 0 {
		fields = splitText(fields[0], delim)
	}
	for len(fields) > 1 && strings.TrimSpace(fields[len(fields)-1]) == "" {
		fields = fields[:len(fields)-1] // spreadsheets write empty columns behind the last
	}
	h := head{delim: delim, dataFrom: records, columns: columnNames(fields)}
	h.mapping = override(guessMapping(h.columns), h.columns, given)
	understood := 0
	for _, f := range h.mapping {
		if f != FieldMetadata && f != FieldIgnore {
			understood++
		}
	}
	if columnOf(h.mapping, FieldEmail) >= 0 {
		return h, understood*2*maxColumns + min(len(h.columns), maxColumns), nil
	}
	if h = headless(fields, delim, records-1); h.columns != nil {
		h.mapping = override(h.mapping, h.columns, given)
		return h, len(h.columns), nil
	}
	return head{}, -1, nil
}

// headless takes a first record that holds an address for data: columns have
// numbers for names, and the first address is the e-mail column.
func headless(fields []string, delim byte, dataFrom int) head {
	h := head{delim: delim, dataFrom: dataFrom}
	found := false
	for i, f := range fields {
		field := FieldMetadata
		address, _ := addressCell(f)
		if _, err := liwanag.ParseEmail(address); err == nil && !found {
			found, field = true, FieldEmail
		}
		h.columns = append(h.columns, "column_"+strconv.Itoa(i+1))
		h.mapping = append(h.mapping, field)
	}
	if !found {
		return head{}
	}
	return h
}

// maxHeaderBytes is how much of a header is kept as a column's name.
const maxHeaderBytes = 100

// columnNames makes headers into distinct names: trimmed, cut, numbered where
// two are the same.
func columnNames(headers []string) []string {
	names := make([]string, len(headers))
	seen := map[string]bool{}
	for i, h := range headers {
		name := cleanText(csvsafe.Unprotect(h))
		if len(name) > maxHeaderBytes {
			name = strings.ToValidUTF8(name[:maxHeaderBytes], "")
		}
		names[i] = name
		for n := 2; name != "" && seen[names[i]]; n++ {
			names[i] = name + "_" + strconv.Itoa(n)
		}
		seen[names[i]] = true
	}
	return names
}

func columnOf(mapping []Field, field Field) int {
	for i, f := range mapping {
		if f == field {
			return i
		}
	}
	return -1
}

func headFault(err error) error {
	switch err {
	case errTooManyColumns:
		return &FileError{"too_many_columns", "the file has more than 200 columns: leave out those that are not needed"}
	case errNUL:
		return &FileError{"not_text", "the file's first row contains a NUL byte: export the list as CSV"}
	case errBrokenQuotes, errFieldTooLong, errRowTooLong:
		return &FileError{"bad_header", "the file's first row cannot be read: " + err.(*rowFault).reason}
	}
	return err
}

func blank(fields []string) bool {
	for _, f := range fields {
		if strings.TrimSpace(f) != "" {
			return false
		}
	}
	return true
}
