package intake

import (
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/intake/csvsafe"
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
	// FieldSources lists all sources of a person, as an export of ours does.
	FieldSources Field = "sources"
	// FieldStanding says whether the person left; nothing else of it is kept.
	FieldStanding Field = "standing"
	// FieldIgnore leaves the column out.
	FieldIgnore Field = "ignore"
)

// fieldNames are the fields there are.
func fieldNames() (names []string) {
	for _, f := range []Field{FieldEmail, FieldSource, FieldID, FieldFirstName, FieldLastName, FieldFullName, FieldCompanyName,
		FieldCompanyDomain, FieldLinkedInURL, FieldTags, FieldTimestamp, FieldSources, FieldMetadata, FieldMetadataObject,
		FieldStanding, FieldIgnore} {
		names = append(names, string(f))
	}
	return names
}

// aliases are the headers people write, reduced by headerKey, the most telling
// first: of several columns that could be one field, the one whose alias comes
// first is taken, and the others are kept as metadata.
var aliases = map[Field][]string{
	FieldEmail: {"email", "emailaddress", "mail", "subscriberemail", "contactemail", "primaryemail", "useremail", "emailaddr",
		"mailaddress", "personalemail", "email1", "email1value", "email1address", "emails", "emailid", "memberemail", "customeremail",
		"homeemail", "privateemail", "emailhome", "otheremail", "workemail", "businessemail", "companyemail", "emailwork", "email2",
		"email2value", "email2address", "email3", "email3value", "email3address", "secondaryemail", "additionalemail", "alternateemail",
		"correo", "correoelectronico", "correoelectrónico", "direccióndecorreo", "direccióndecorreoelectrónico",
		"direccióndeemail", "email地址", "courriel", "adresseemail", "adressemail", "adressecourriel", "adressedecourriel",
		"adressedemessagerie", "mél", "mel", "adresseelectronique", "adresseélectronique", "emailadresse", "mailadresse", "epost",
		"epostadresse", "epostadress", "emailadres", "mailadres", "eposta", "epostaadresi", "indirizzoemail", "indirizzodiposta",
		"postaelettronica", "endereçodeemail", "enderecodeemail", "adresemail", "adresemailowy", "emailcím", "emailováadresa",
		"sähköposti", "sähköpostiosoite", "почта", "электроннаяпочта", "элпочта", "адресэлектроннойпочты", "メール", "メールアドレス",
		"eメール", "eメールアドレス", "電子メール", "電子メールアドレス", "电子邮件", "电子邮箱", "电子邮件地址", "邮箱", "邮箱地址", "電子郵件", "電子信箱",
		"電郵", "이메일", "이메일주소", "메일", "메일주소", "전자우편"},
	FieldFirstName: {"firstname", "givenname", "forename", "first", "fname", "vorname", "rufname", "prénom", "prenom", "prénoms",
		"nombre", "nombredepila", "primernombre", "nome", "primeironome", "voornaam", "roepnaam", "förnamn", "fornavn", "etunimi",
		"imię", "имя", "名", "下の名前", "名前（名）", "名字", "ad", "keresztnév", "jméno"},
	FieldLastName: {"lastname", "surname", "familyname", "last", "lname", "nachname", "familienname", "zuname", "nomdefamille",
		"apellido", "apellidos", "primerapellido", "cognome", "sobrenome", "apelido", "achternaam", "efternamn", "etternavn",
		"efternavn", "sukunimi", "nazwisko", "фамилия", "姓", "苗字", "名字（姓）", "soyad", "soyadı", "soyisim", "vezetéknév", "příjmení"},
	FieldFullName: {"fullname", "name", "contactname", "displayname", "subscribername", "firstandlastname", "firstlastname",
		"yourname", "nom", "nomcomplet", "nometprénom", "nometprenom", "nomprénom", "nomprenom", "prénometnom", "prenometnom",
		"prénomnom", "nomsetprénoms", "nombrecompleto", "nombreyapellido", "nombreyapellidos", "apellidosynombre", "apellidosynombres",
		"nomecompleto", "nomeecognome", "cognomeenome", "nomeesobrenome", "vollständigername", "vorundnachname", "vornamename",
		"vornamenachname", "vornameundname", "vornameundnachname", "namevorname", "nachnamevorname", "namn", "navn", "nimi", "naam",
		"volledigenaam", "imięinazwisko", "фио", "имяифамилия", "фамилияимя", "名前", "お名前", "氏名", "ご氏名", "フルネーム", "姓名",
		"이름", "성명", "adsoyad", "isim", "adısoyadı", "isimsoyisim"},
	FieldCompanyName: {"companyname", "company", "organization", "organisation", "organizationname", "organisationname",
		"organization1name", "organizationsname", "nameofcompany", "currentcompany", "associatedcompany", "primarycompany", "employer",
		"account", "accountname", "business", "businessname", "firma", "firmenname", "unternehmen", "arbeitgeber", "société", "societe",
		"raisonsociale", "entreprise", "nomdelentreprise", "nomdelasociété", "organisme", "empresa", "nombredelaempresa",
		"nombredeempresa", "compañía", "organización", "nomedaempresa", "azienda", "società", "ragionesociale", "bedrijf",
		"bedrijfsnaam", "företag", "yritys", "компания", "организация", "会社", "会社名", "企業名", "勤務先", "貴社名", "御社名", "法人名",
		"公司", "公司名称", "公司名稱", "회사", "회사명", "şirket", "şirketadı", "kurum", "företagsnamn", "firmanavn", "virksomhed",
		"nazwafirmy", "cég", "cégnév", "společnost", "названиекомпании"},
	FieldCompanyDomain: {"companydomain", "companydomainname", "domain", "companywebsite", "website", "companyurl", "websiteurl",
		"webpage", "website1value", "webseite", "internetseite", "homepage", "siteweb", "siteinternet", "sitioweb", "páginaweb",
		"paginaweb", "sitoweb", "ウェブサイト", "ホームページ", "会社url", "网站"},
	FieldLinkedInURL: {"linkedinurl", "linkedin", "linkedinprofile", "linkedinprofileurl", "personlinkedinurl", "linkedinlink",
		"linkedinbio", "linkedinprofil", "profillinkedin", "perfildelinkedin", "linkedincontactprofileurl"},
	FieldSource: {"source", "signupsource", "leadsource", "origin", "channel", "quelle", "herkunft", "origine", "provenance", "fuente",
		"origen", "originalsource", "流入元"},
	FieldTags: {"tags", "tag", "labels", "label", "categories", "category", "groupmembership", "groups", "etiquetas", "etiqueta",
		"étiquettes", "schlagworte", "schlagwörter", "kategorien", "kategorie", "catégories", "catégorie", "categorías", "タグ", "ラベル",
		"分類", "标签"},
	FieldTimestamp: {"timestamp", "subscribedat", "signedupat", "signupdate", "optintime", "confirmtime", "createdat", "created",
		"createdate", "createddate", "createdtime", "creationdate", "datecreated", "dateadded", "addedat", "joinedat", "datejoined",
		"joindate", "subscribedate", "subscribeddate", "subscriptiondate", "subscribedon", "dateofsignup", "signuptime",
		"registrationdate", "registeredat", "optindate", "zeitstempel", "angemeldetam", "anmeldedatum", "registriertam", "erstelltam",
		"eintragungsdatum", "horodateur", "datedinscription", "datedabonnement", "inscritle", "datedecréation", "crééle",
		"marcatemporal", "marcadetiempo", "fechadealta", "fechadesuscripción", "fechadesuscripcion", "fechaderegistro",
		"fechadecreación", "fechadeinscripción", "suscritoel", "informazionicronologiche", "datadiiscrizione", "carimbodedatahora",
		"datadeinscrição", "タイムスタンプ", "登録日", "登録日時", "作成日", "作成日時", "申込日", "注册时间", "创建时间"},
	FieldID:             {"externalid", "subscriberid", "memberid", "contactid", "recordid", "userid", "customerid", "id", "uuid"},
	FieldMetadataObject: {"attributes", "attribs"}, // listmonk's
}

// headerKey reduces a header to what tells: lower-cased, without spaces and the
// punctuation people put into names. Delimiters stay, so that a whole header
// line is never taken for one column.
func headerKey(header string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || strings.ContainsRune("_-–.:/()[]*#'\"?"+typographic, r) {
			return -1
		}
		return unicode.ToLower(r)
	}, norm.NFC.String(header))
}

// guessMapping finds the meaning of each column by its header. A file that was
// exported by ours comes back column by column, without what was looked up.
func guessMapping(columns []string) []Field {
	if mapping := exportedMapping(columns); mapping != nil {
		return mapping
	}
	if n := len(errorColumns); len(columns) > n && slices.Equal(columns[:n], errorColumns) {
		return append(slices.Repeat([]Field{FieldIgnore}, n), guessMapping(columns[n:])...)
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
	halveNames(mapping, columns)
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
			if other == field && field != FieldMetadata && field != FieldIgnore && field != FieldStanding {
				mapping[j] = FieldMetadata
			}
		}
		mapping[i] = field
	}
	return mapping
}

// halfNames are headers that mean the whole name where they stand alone, and
// beside the one the other half.
var halfNames = []string{"name", "nom", "nombre", "nome", "naam", "namn", "navn", "nimi"}

// halveNames takes a column such as "Name" beside "Vorname" for the family name, and
// one such as "Nombre" without another for the whole.
func halveNames(mapping []Field, columns []string) {
	first, last, full := columnOf(mapping, FieldFirstName), columnOf(mapping, FieldLastName), columnOf(mapping, FieldFullName)
	half := func(i int) bool { return i >= 0 && slices.Contains(halfNames, headerKey(columns[i])) }
	switch {
	case first >= 0 && last < 0 && half(full):
		mapping[full] = FieldLastName
	case first < 0 && last >= 0 && half(full):
		mapping[full] = FieldFirstName
	case last < 0 && full < 0 && half(first):
		mapping[first] = FieldFullName
	}
}

// lookAlias finds the field of a header, and how well it fits. One that is unknown
// may be known without what says whose it is: contact.first_name, Contact: Company.
func lookAlias(column string) (Field, int, bool) {
	if field, rank, ok := aliasOf(headerKey(column)); ok {
		return field, rank, true
	}
	if i := strings.LastIndexAny(column, ".:/>›|"); i >= 0 {
		_, after := utf8.DecodeRuneInString(column[i:])
		if field, rank, ok := aliasOf(headerKey(column[i+after:])); ok {
			return field, rank + otherRank, true
		}
	}
	for _, whose := range []string{"contact", "subscriber", "member", "person", "user", "customer", "lead", "profile", "your", "the"} {
		if rest, ok := strings.CutPrefix(headerKey(column), whose); ok {
			if field, rank, ok := aliasOf(rest); ok {
				return field, rank + otherRank, true
			}
		}
	}
	return "", 0, false
}

// otherRank is behind that of every alias.
const otherRank = 1000

func aliasOf(key string) (Field, int, bool) {
	for field, names := range aliases {
		if rank := slices.Index(names, key); rank >= 0 {
			return field, rank, true
		}
	}
	return "", 0, false
}

// maxHeaderBytes is how much of a header is kept as a column's name.
const maxHeaderBytes = 100

// columnNames makes headers into distinct names: trimmed, cut, numbered where
// two are the same.
func columnNames(headers []string) []string {
	names := make([]string, len(headers))
	seen := map[string]bool{}
	for i, h := range headers {
		name := cutHeader(cleanText(csvsafe.Unprotect(h)))
		names[i] = name
		for n := 2; name != "" && seen[names[i]]; n++ {
			names[i] = name + "_" + strconv.Itoa(n)
		}
		seen[names[i]] = true
	}
	return names
}

func cutHeader(name string) string {
	if len(name) > maxHeaderBytes {
		name = strings.ToValidUTF8(name[:maxHeaderBytes], "")
	}
	return name
}

func columnOf(mapping []Field, field Field) int {
	for i, f := range mapping {
		if f == field {
			return i
		}
	}
	return -1
}
