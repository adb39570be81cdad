package intake

import (
	"bytes"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/wlynxg/chardet"
	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/korean"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/traditionalchinese"
	uni "golang.org/x/text/encoding/unicode"
	"golang.org/x/text/encoding/unicode/utf32"
)

// Names of encodings that are found by themselves, and of those that are tried
// beside them.
const (
	utf8Name    = "UTF-8"
	latinName   = "windows-1252"
	gb18030Name = "GB18030"
)

// eastern are encodings of several bytes a letter, western those of one.
var (
	eastern = []namedEncoding{{"Shift_JIS", japanese.ShiftJIS}, {"EUC-JP", japanese.EUCJP}, {gb18030Name, simplifiedchinese.GB18030},
		{"EUC-KR", korean.EUCKR}, {"Big5", traditionalchinese.Big5}}
	western = []namedEncoding{{latinName, charmap.Windows1252}, {"macintosh", charmap.Macintosh}, {"windows-1250", charmap.Windows1250},
		{"ISO-8859-2", charmap.ISO8859_2}, {"windows-1254", charmap.Windows1254}, {"windows-1257", charmap.Windows1257},
		{"IBM850", charmap.CodePage850}, {"windows-1251", charmap.Windows1251}, {"KOI8-R", charmap.KOI8R}, {"KOI8-U", charmap.KOI8U},
		{"IBM866", charmap.CodePage866}, {"x-mac-cyrillic", charmap.MacintoshCyrillic}, {"ISO-8859-5", charmap.ISO8859_5},
		{"windows-1253", charmap.Windows1253}, {"windows-1255", charmap.Windows1255}, {"windows-1256", charmap.Windows1256},
		{"windows-874", charmap.Windows874}}
	wide = []namedEncoding{{"UTF-16LE", uni.UTF16(uni.LittleEndian, uni.UseBOM)}, {"UTF-16BE", uni.UTF16(uni.BigEndian, uni.UseBOM)},
		{"UTF-32LE", utf32.UTF32(utf32.LittleEndian, utf32.UseBOM)}, {"UTF-32BE", utf32.UTF32(utf32.BigEndian, utf32.UseBOM)},
		{"ISO-2022-JP", japanese.ISO2022JP}}
)

type namedEncoding struct {
	name string
	enc  encoding.Encoding
}

// EncodingNamed finds an encoding by any of its usual names, and the name it is
// shown by. UTF-8 has none: nil.
func EncodingNamed(name string) (shown string, enc encoding.Encoding, ok bool) {
	key := encodingKey(name)
	if key == "utf8" || key == "utf8sig" || key == "ascii" || key == "usascii" {
		return utf8Name, nil, true
	}
	for _, e := range slices.Concat(eastern, western, wide) {
		if encodingKey(e.name) == key {
			return e.name, e.enc, true
		}
	}
	if same, ok := map[string]string{"utf16": "UTF-16LE", "utf32": "UTF-32LE", "macroman": "macintosh", "mac": "macintosh", "cp850": "IBM850",
		"cp866": "IBM866", "gb2312": gb18030Name, "gbk": gb18030Name, "cp936": gb18030Name, "cp932": "Shift_JIS", "cp949": "EUC-KR",
		"cp950": "Big5", "ansi": latinName, "maccyrillic": "x-mac-cyrillic"}[key]; ok {
		return EncodingNamed(same)
	}
	if digits, ok := strings.CutPrefix(key, "cp125"); ok {
		return EncodingNamed("windows-125" + digits)
	}
	enc, err := htmlindex.Get(name)
	if err != nil || enc == encoding.Replacement {
		return "", nil, false
	}
	shown, _ = htmlindex.Name(enc)
	if encodingKey(shown) != key { // an alias of one of ours, perhaps
		return EncodingNamed(shown)
	}
	return shown, enc, true
}

func encodingKey(name string) string {
	return strings.NewReplacer("-", "", "_", "", " ", "").Replace(strings.ToLower(name))
}

// detection is what a file's bytes look like.
type detection struct {
	name string
	// doubts are, when it is not clear, the encodings it may be, likeliest first.
	doubts []string
}

// detect says how bytes of a file are written. Only what decodes without a fault
// is considered; a detector proposes among the encodings of East Asia.
func detect(sample []byte) detection {
	if name := wideName(sample); name != "" {
		return detection{name: name}
	}
	text := telling(sample)
	valid, invalid := utf8Runs(text)
	if invalid == 0 || valid >= invalid {
		return detection{name: utf8Name} // single records may still be something else
	}
	if japaneseShift(text) {
		return detection{name: "Shift_JIS"}
	}
	if japaneseEUC(text) {
		return detection{name: "EUC-JP"}
	}
	best, clean, doubts := detectWestern(text)
	strict := strictly(text)
	if len(strict) == 0 || clean && votesLatin(text) {
		return detection{best, doubts}
	}
	proposed, clear := propose(text, strict)
	if clear {
		return detection{name: proposed}
	}
	strict = slices.DeleteFunc(strict, func(name string) bool { return name == proposed })
	return detection{proposed, slices.Concat([]string{proposed}, strict, cmpDoubts(best, doubts))}
}

func cmpDoubts(best string, doubts []string) []string {
	if doubts == nil {
		return []string{best}
	}
	return doubts
}

// wideName recognizes what is told by a mark, by zero bytes or by escapes.
func wideName(sample []byte) string {
	switch {
	case bytes.HasPrefix(sample, []byte("\xff\xfe\x00\x00")):
		return "UTF-32LE"
	case bytes.HasPrefix(sample, []byte("\x00\x00\xfe\xff")):
		return "UTF-32BE"
	case looksUTF16(sample, uni.LittleEndian):
		return "UTF-16LE"
	case looksUTF16(sample, uni.BigEndian):
		return "UTF-16BE"
	case bytes.Contains(sample, []byte("\x1b$B")) || bytes.Contains(sample, []byte("\x1b$@")):
		return "ISO-2022-JP"
	}
	var zeros [4]int
	for i, c := range sample {
		if c == 0 {
			zeros[i%4]++
		}
	}
	quarter := len(sample) / 4
	switch full := func(n int) bool { return quarter > 3 && n*10 >= quarter*9 }; {
	case full(zeros[1]) && full(zeros[2]) && full(zeros[3]):
		return "UTF-32LE"
	case full(zeros[0]) && full(zeros[1]) && full(zeros[2]):
		return "UTF-32BE"
	}
	return ""
}

// telling are the lines that are not ASCII. Lines of encodings with several bytes
// a letter end like others: no second byte is a line end.
func telling(sample []byte) (text []byte) {
	for line := range bytes.FieldsFuncSeq(sample, func(r rune) bool { return r == '\n' || r == '\r' }) {
		if bytes.IndexFunc(line, func(r rune) bool { return r >= utf8.RuneSelf }) >= 0 {
			text = append(append(text, line...), '\n')
		}
	}
	return text
}

func utf8Runs(text []byte) (valid, invalid int) {
	for len(text) > 0 {
		r, size := utf8.DecodeRune(text)
		switch {
		case size > 1:
			valid++
		case r == utf8.RuneError:
			invalid++
		}
		text = text[size:]
	}
	return valid, invalid
}

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

// japaneseShift is strict decoding, and what is usual in Japanese: kana and common
// kanji that stand among themselves. The accents of Western encodings would be
// halves of rare kanji inside of words, other scripts half-width kana.
func japaneseShift(text []byte) bool {
	usual, rare, odd := 0, 0, 0
	before := byte(0)
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case c < 0x80:
			before = c
			continue
		case c >= 0xa1 && c <= 0xdf:
			odd++
			before = c
			continue
		}
		i++
		behind := byte(0)
		if i+1 < len(text) {
			behind = text[i+1]
		}
		switch {
		case isLetter(before) || isLetter(behind):
			odd++
		case c >= 0x81 && c <= 0x84 || c >= 0x88 && c <= 0x97:
			usual++
		default:
			rare++
		}
		before = c
	}
	return usual >= 3 && usual >= 4*odd && usual >= 2*rare && decodes(text, japanese.ShiftJIS)
}

// japaneseEUC is strict decoding with kana: without them it could be Chinese.
func japaneseEUC(text []byte) bool {
	kana, others := 0, 0
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c < 0x80:
			continue
		case c == 0xa4 || c == 0xa5:
			kana++
		default:
			others++
		}
		i++
	}
	return kana >= 3 && kana*5 >= others && decodes(text, japanese.EUCJP)
}

// decodes says whether all of a text decodes to characters that people use.
func decodes(text []byte, enc encoding.Encoding) bool {
	out, err := enc.NewDecoder().Bytes(text)
	return err == nil && bytes.IndexFunc(out, func(r rune) bool {
		return r == utf8.RuneError || r != '\n' && r != '\t' && unicode.In(r, unicode.Co, unicode.Cc)
	}) < 0
}

func strictly(text []byte) (names []string) {
	for _, e := range eastern {
		if decodes(text, e.enc) {
			names = append(names, e.name)
		}
	}
	return names
}

// votesLatin says whether most of what is not ASCII stands in words with ASCII
// letters, a letter or two at a time.
func votesLatin(text []byte) bool {
	latin, others := 0, 0
	for i := 0; i < len(text); i++ {
		if text[i] < 0x80 {
			continue
		}
		end := i
		for end < len(text) && text[end] >= 0x80 {
			end++
		}
		inWord := i > 0 && isLetter(text[i-1]) || end < len(text) && isLetter(text[end])
		switch {
		case end-i <= 2 && inWord:
			latin++
		case end-i >= 2:
			others++
		}
		i = end
	}
	return latin > others || others == 0
}

// enoughLetters is from how many letters on a detector is believed, and clearLead
// by how much its first proposal has to lead.
const (
	enoughLetters = 20
	clearLead     = 0.1
)

// propose asks the detector which of the encodings it is.
func propose(text []byte, among []string) (name string, clear bool) {
	letters := 0
	for _, c := range text {
		if c >= 0x80 {
			letters++
		}
	}
	lead, first := 0.0, ""
	for _, r := range chardet.DetectAll(text) {
		shown, _, ok := EncodingNamed(r.Charset)
		if !ok || !slices.Contains(among, shown) || shown == first {
			continue
		}
		if first != "" {
			return first, letters/2 >= enoughLetters && lead-r.Confidence >= clearLead
		}
		first, lead = shown, r.Confidence
	}
	if first == "" {
		return among[0], false
	}
	return first, letters/2 >= enoughLetters && lead > 0.5
}
