package intake

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

// head is how the file begins.
type head struct {
	delim   byte
	columns []string
	mapping []Field
	// addresses are the columns that hold e-mail addresses, the mapped one first.
	addresses []int
	order     slashOrder // of the times
	// dataFrom is the record with the first data: 0 when there is no header, else
	// the one behind it.
	dataFrom int
}

// headRecords is how far into a file a header is looked for: titles, notes and the
// like come first.
const headRecords = 20

// sampleRecords is of how many records the values are looked at.
const sampleRecords = 200

// readHead guesses the delimiter, and where the header is, from a sample of the
// beginning. given says what columns mean, by name, whatever their headers suggest.
// Where no column holds addresses the head is the likeliest one all the same.
func readHead(sample []byte, given map[string]Field) (head, error) {
	var best head
	bestScore := -1
	var fault error
	sep, skip := excelSeparator(sample)
	for _, delim := range delimiters(sep) {
		h, score, err := tryHead(sample, delim, skip, given)
		if err != nil {
			fault = err
			continue
		}
		if delim == sep && score >= 0 {
			score += sepScore
		}
		if score > bestScore {
			best, bestScore = h, score
		}
	}
	switch {
	case bestScore < addressScore && fault != nil:
		return head{}, fault
	case bestScore < 0:
		return head{}, errNoRows
	}
	return best, checkMapping(best.columns, given)
}

func delimiters(sep byte) []byte {
	usual := []byte{',', ';', '\t', '|'}
	if sep != 0 && bytes.IndexByte(usual, sep) < 0 {
		return append(usual, sep)
	}
	return usual
}

// Scores of a head: one with a column of addresses, then one that the file's own
// "sep=" names, then one with more known columns, then one with more columns.
const (
	knownScore   = 2 * maxColumns
	sepScore     = knownScore * (maxColumns + 1)
	addressScore = 2 * sepScore
)

// checkMapping finds what is wrong with a mapping by itself.
func checkMapping(columns []string, given map[string]Field) error {
	taken := map[Field]string{}
	for _, column := range slices.Sorted(maps.Keys(given)) {
		field := given[column]
		known := slices.Contains(fieldNames(), string(field))
		other, twice := taken[field]
		free := field == FieldMetadata || field == FieldMetadataObject || field == FieldIgnore || field == FieldStanding
		switch {
		case !slices.Contains(columns, column):
			return badMapping(columns, "the file has no column %q", column)
		case !known:
			return badMapping(columns, "there is no field %q, which column %q is given", string(field), column)
		case !free && twice:
			return badMapping(columns, "the field %q is given to two columns, %q and %q", string(field), other, column)
		}
		taken[field] = column
	}
	return nil
}

// maxColumnsNamed is how many columns an error names.
const maxColumnsNamed = 50

// badMapping refuses a mapping and says what there is to map.
func badMapping(columns []string, reason string, names ...any) error {
	for i, name := range names {
		names[i] = cutHeader(name.(string))
	}
	var named []string
	for _, column := range columns[:min(len(columns), maxColumnsNamed)] {
		named = append(named, strconv.Quote(column))
	}
	if more := len(columns) - len(named); more > 0 {
		named = append(named, "and "+strconv.Itoa(more)+" more")
	}
	return &FileError{"bad_mapping", fmt.Sprintf("the mapping does not fit: "+reason, names...) +
		". The file's columns: " + strings.Join(named, ", ") + ". The fields: " + strings.Join(fieldNames(), ", ")}
}

// excelSeparator reads the line "sep=;" that Excel understands, as programs write
// it: in quotes, with spaces, with the delimiters of empty cells behind it.
func excelSeparator(sample []byte) (sep byte, skip int) {
	text := bytes.TrimLeft(sample, lineEnds)
	blank := bytes.Count(sample[:len(sample)-len(text)], []byte("\n"))
	if blank == 0 {
		blank = len(sample) - len(text)
	}
	if i := bytes.IndexAny(text, lineEnds); i >= 0 {
		text = text[:i]
	}
	line := strings.ToLower(strings.Trim(string(text), "\" "))
	line, ok := strings.CutPrefix(strings.Replace(line, " =", "=", 1), "sep=")
	if line = strings.TrimLeft(line, " '"); !ok || line == "" {
		return 0, 0
	}
	if strings.HasPrefix(line, `\t`) || strings.HasPrefix(line, "tab") {
		return '\t', blank + 1
	}
	if strings.IndexByte(",;\t|:^~!#", line[0]) < 0 || strings.Trim(line[1:], line[:1]+"\"', ;\t") != "" {
		return 0, 0
	}
	return line[0], blank + 1
}

// sampleOf reads the first records with one delimiter; a record that cannot be read
// is empty. The fault is that of the first record with something in it.
func sampleOf(sample []byte, delim byte) (records [][]string, fault error) {
	s := &splitter{src: bytes.NewReader(sample), delim: delim, line: 1}
	seen := false
	for len(records) < sampleRecords {
		fields, _, err := s.next()
		if _, faulty := err.(*rowFault); err != nil && !faulty {
			return records, fault
		}
		if len(fields) == 1 && strings.IndexByte(fields[0], delim) >= 0 {
			fields = splitText(fields[0], delim)
		}
		for len(fields) > 1 && strings.TrimSpace(fields[len(fields)-1]) == "" {
			fields = fields[:len(fields)-1] // spreadsheets write empty columns behind the last
		}
		if !seen && (err != nil || !blank(fields)) {
			seen, fault = true, err
		}
		records = append(records, slices.Clone(fields))
	}
	return records, fault
}

// tryHead looks for the header with one delimiter, then for addresses.
func tryHead(sample []byte, delim byte, skip int, given map[string]Field) (head, int, error) {
	records, fault := sampleOf(sample, delim)
	if fault != nil {
		return head{}, 0, headFault(fault)
	}
	skip = min(skip, len(records))
	fullest := 0 // cells of the fullest record so far that holds an address
	for i, fields := range records[skip:min(skip+headRecords, len(records))] {
		if blank(fields) {
			continue
		}
		if holdsAddress(fields) {
			fullest = max(fullest, filled(fields))
			continue
		}
		h := headerAt(records, skip+i, delim, given)
		if columnOf(h.mapping, FieldEmail) >= 0 && filled(fields) > fullest {
			return scored(records, h, addressScore+understood(h.mapping)*knownScore+min(len(h.columns), maxColumns))
		}
	}
	h, ok := headByValues(records, skip, delim, given)
	if !ok {
		h, ok = headByNames(records, skip, delim, given)
	}
	switch {
	case !ok:
		return head{}, -1, nil
	case columnOf(h.mapping, FieldEmail) >= 0:
		return scored(records, h, addressScore+min(len(h.columns), maxColumns))
	}
	return scored(records, h, understood(h.mapping)*knownScore+min(len(h.columns), maxColumns))
}

func scored(records [][]string, h head, score int) (head, int, error) {
	h.order = orderOf(cellsOf(records[h.dataFrom:], columnOf(h.mapping, FieldTimestamp)))
	return h, score, nil
}

// headByNames finds the header of a file in which nothing is an address: of the first
// records the one with most known columns, then with most columns.
func headByNames(records [][]string, skip int, delim byte, given map[string]Field) (best head, ok bool) {
	most := -1
	for i, fields := range records[skip:min(skip+headRecords, len(records))] {
		if strings.Trim(strings.Join(fields, ""), ",;\t| \"") == "" {
			continue
		}
		h := headerAt(records, skip+i, delim, given)
		if n := understood(h.mapping)*knownScore + len(h.columns); n > most {
			best, most = h, n
		}
	}
	return best, most >= 0
}

// headerAt takes a record for the header.
func headerAt(records [][]string, at int, delim byte, given map[string]Field) head {
	h := head{delim: delim, dataFrom: at + 1, columns: columnNames(records[at])}
	h.mapping = guessMapping(h.columns)
	mapByValues(h.mapping, records[at+1:])
	h.mapping = override(h.mapping, h.columns, given)
	for i, column := range h.columns {
		if field, _, ok := lookAlias(column); ok && field == FieldEmail && h.mapping[i] == FieldMetadata {
			h.addresses = append(h.addresses, i)
		}
	}
	return h
}

// mapByValues finds a column of LinkedIn addresses that its header does not name.
func mapByValues(mapping []Field, data [][]string) {
	if columnOf(mapping, FieldLinkedInURL) >= 0 {
		return
	}
	for i, field := range mapping {
		if field != FieldMetadata && field != FieldCompanyDomain {
			continue
		}
		profiles, others := 0, 0
		for _, fields := range data {
			if i >= len(fields) || strings.TrimSpace(fields[i]) == "" {
				continue
			}
			if strings.Contains(strings.ToLower(fields[i]), "linkedin.com/in/") {
				profiles++
			} else {
				others++
			}
		}
		if profiles > others {
			mapping[i] = FieldLinkedInURL
			return
		}
	}
}

// headByValues finds the addresses by themselves, which given may call something else. The record before the first of
// them is a header in a language we do not know if it has something where they
// stand; else columns have numbers for names.
func headByValues(records [][]string, skip int, delim byte, given map[string]Field) (head, bool) {
	width, first := 0, -1
	for i, fields := range records[skip:] {
		if holdsAddress(fields) {
			if first < 0 {
				first = skip + i
			}
			width = max(width, len(fields))
		}
	}
	if first < 0 {
		return head{}, false
	}
	counts := make([]int, width)
	for _, fields := range records[first:] {
		for i, cell := range fields {
			if i < width && isAddress(cell) {
				counts[i]++
			}
		}
	}
	email := slices.Index(counts, slices.Max(counts))
	before := first - 1
	for before > skip && blank(records[before]) {
		before--
	}
	if before >= skip && before >= 0 && email < len(records[before]) && strings.TrimSpace(records[before][email]) != "" &&
		len(records[before]) <= width {
		h := headerAt(records, before, delim, nil)
		if i := columnOf(h.mapping, FieldEmail); i >= 0 {
			h.mapping[i] = FieldMetadata
		}
		h.mapping[email] = FieldEmail
		h.mapping = override(h.mapping, h.columns, given)
		h.addresses = otherAddresses(counts, email)
		return h, true
	}
	h := head{delim: delim, dataFrom: skip, addresses: otherAddresses(counts, email)}
	for i := range width {
		h.columns = append(h.columns, "column_"+strconv.Itoa(i+1))
		h.mapping = append(h.mapping, FieldMetadata)
	}
	h.mapping[email] = FieldEmail
	mapByValues(h.mapping, records[skip:])
	h.mapping = override(h.mapping, h.columns, given)
	return h, true
}

func otherAddresses(counts []int, email int) (columns []int) {
	for i, n := range counts {
		if n > 0 && i != email {
			columns = append(columns, i)
		}
	}
	return columns
}

func cellsOf(records [][]string, column int) (cells []string) {
	for _, fields := range records {
		if column >= 0 && column < len(fields) {
			cells = append(cells, fields[column])
		}
	}
	return cells
}

func holdsAddress(fields []string) bool { return slices.ContainsFunc(fields, isAddress) }

func isAddress(cell string) bool {
	if strings.IndexByte(cell, '@') < 0 && !strings.ContainsRune(cell, '＠') {
		return false
	}
	address, _, _ := bestAddress(cell)
	_, err := liwanag.ParseEmail(address)
	return err == nil
}

func filled(fields []string) (n int) {
	for _, f := range fields {
		if strings.TrimSpace(f) != "" {
			n++
		}
	}
	return n
}

func understood(mapping []Field) (n int) {
	for _, f := range mapping {
		if f != FieldMetadata && f != FieldIgnore {
			n++
		}
	}
	return n
}

func headFault(err error) error {
	switch err {
	case errTooManyColumns:
		return &FileError{"too_many_columns", "the file has more than 200 columns: leave out those that are not needed"}
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
