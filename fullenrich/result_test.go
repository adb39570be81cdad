package fullenrich

import (
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// Each testdata/results/*.json is a body; *.golden is what is read from it.
func TestParseResultGoldens(t *testing.T) {
	files, err := filepath.Glob("testdata/results/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no bodies: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".json"), func(t *testing.T) {
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			result, err := ParseResult(raw)
			got := describeResult(t, result, err)
			golden := strings.TrimSuffix(file, ".json") + ".golden"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func describeResult(t *testing.T, result Result, err error) string {
	type record struct {
		Record
		Found  bool   `json:"found"`
		Failed string `json:"error,omitempty"`
	}
	view := struct {
		Result
		Terminal bool     `json:"terminal"`
		Data     []record `json:"data"`
		Failed   string   `json:"error,omitempty"`
	}{Result: result, Terminal: result.Status.Terminal()}
	for _, r := range result.Data {
		line := record{Record: r, Found: r.Profile.Found()}
		if r.Err != nil {
			line.Failed = r.Err.Error()
		}
		view.Data = append(view.Data, line)
	}
	if err != nil {
		view.Failed = err.Error()
	}
	text, err := json.MarshalIndent(view, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return string(text) + "\n"
}

// A field that is not read would be empty in every profile without any error.
func TestEveryDocumentedFieldOfAProfileIsRead(t *testing.T) {
	raw, err := os.ReadFile("testdata/results/complete.json")
	if err != nil {
		t.Fatal(err)
	}
	result, err := ParseResult(raw)
	if err != nil {
		t.Fatal(err)
	}
	decode := func(raw []byte, path ...string) any {
		var value any
		if err := json.Unmarshal(raw, &value); err != nil {
			t.Fatal(err)
		}
		for _, name := range path {
			value = value.(map[string]any)[name]
		}
		delete(value.(map[string]any)["employment"].(map[string]any), "all") // has fields that are zero
		return value
	}
	encoded, err := json.Marshal(result.Data[0].Profile)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(decode(result.Data[0].Raw, "profile"), decode(encoded)); diff != "" {
		t.Errorf("(-FullEnrich +read):\n%s", diff)
	}
}

func TestParseResultKeepsRawRecords(t *testing.T) {
	result, err := ParseResult([]byte(`{"data":[ {"input" : {"email":"a@example.net"},"new":1.50}, 7, null ]}`))
	if err != nil || len(result.Data) != 3 {
		t.Fatalf("ParseResult = %+v, %v", result, err)
	}
	for i, want := range []string{`{"input" : {"email":"a@example.net"},"new":1.50}`, `7`, `null`} {
		if got := string(result.Data[i].Raw); got != want {
			t.Errorf("record %d: Raw = %s", i, got)
		}
		if bad := errors.Is(result.Data[i].Err, ErrBadRecord); bad != (i > 0) {
			t.Errorf("record %d: Err = %v", i, result.Data[i].Err)
		}
	}
}

func TestParseResultErrors(t *testing.T) {
	for body, want := range map[string]error{
		``:                                  ErrMalformed,
		`{"data":[]`:                        ErrMalformed,
		`{"data":[]} {}`:                    ErrMalformed,
		`[]`:                                ErrMalformed,
		`null`:                              ErrMalformed,
		`"x"`:                               ErrMalformed,
		`{"id":"x","datas":[]}`:             ErrUnsupportedShape,
		`{"id":"x","data":{"0":{}}}`:        ErrUnsupportedShape,
		`{"id":"x","data":"none"}`:          ErrUnsupportedShape,
		`{"id":"x","data":null,"datas":[]}`: ErrUnsupportedShape,
		`{"id":"x","data":null}`:            nil,
		`{"id":"x","data":[],"datas":[]}`:   nil,
		`{"id":"x"}`:                        nil,
	} {
		result, err := ParseResult([]byte(body))
		if !errors.Is(err, want) || (want == nil && err != nil) {
			t.Errorf("%s: %v, want %v", body, err, want)
		}
		if !errors.Is(err, ErrMalformed) && result.ID != "x" {
			t.Errorf("%s: the id is lost", body)
		}
	}
}

func TestStatus(t *testing.T) {
	for status, want := range map[Status][2]bool{ // terminal, known
		StatusCreated: {false, true}, StatusInProgress: {false, true}, StatusFinished: {true, true},
		StatusCreditsInsufficient: {true, true}, StatusCanceled: {true, true}, StatusRateLimit: {false, true},
		StatusUnknown: {false, false}, "PAUSED": {false, false}, "": {false, false},
	} {
		if got := [2]bool{status.Terminal(), status.Known()}; got != want {
			t.Errorf("%q: terminal, known = %v", status, got)
		}
	}
}

func TestFound(t *testing.T) {
	network := SocialProfiles{Network{URL: "u"}}
	for _, test := range []struct {
		name    string
		profile *Profile
		want    bool
	}{
		{"nil", nil, false},
		{"empty", &Profile{}, false},
		{"id", &Profile{ID: "i"}, true},
		{"full name", &Profile{FullName: "n"}, true},
		{"both names", &Profile{FirstName: "f", LastName: "l"}, true},
		{"first name only", &Profile{FirstName: "f"}, false},
		{"last name only", &Profile{LastName: "l"}, false},
		{"network", &Profile{SocialProfiles: network}, true},
		{"current title", &Profile{Employment: Employment{Current: Position{Title: "t"}}}, true},
		{"past title", &Profile{Employment: Employment{All: []Position{{}, {Title: "t"}}}}, true},
		{"other things", &Profile{Headline: "h", Skills: []string{"s"}, Employment: Employment{Current: Position{Company: Company{Name: "c", SocialProfiles: network}}}}, false},
	} {
		if got := test.profile.Found(); got != test.want {
			t.Errorf("%s: Found = %v", test.name, got)
		}
	}
}

func TestCurrentPositionIsFilledFromTheSameOneOnly(t *testing.T) {
	for _, test := range []struct {
		name, current, first string
		want                 string // "title at company"
	}{
		{"title only", `{"title":"Lead"}`, `{"title":"lead ","company":{"name":"Tala"}}`, "Lead at Tala"},
		{"company only", `{"company":{"name":"Tala"}}`, `{"title":"Lead","company":{"name":"Tala"}}`, "Lead at Tala"},
		{"nothing", `{}`, `{"title":"Lead","is_current":true,"company":{"name":"Tala"}}`, "Lead at Tala"},
		{"absent", `null`, `{"title":"Lead","company":{"name":"Tala"}}`, "Lead at Tala"},
		{"another title", `{"title":"Lead"}`, `{"title":"Clerk","company":{"name":"Tala"}}`, "Lead at "},
		{"another company", `{"company":{"name":"Bulan"}}`, `{"title":"Lead","company":{"name":"Tala"}}`, " at Bulan"},
		{"a past position", `{}`, `{"title":"Lead","is_current":false,"company":{"name":"Tala"}}`, " at "},
		{"whole already", `{"title":"Lead","company":{"name":"Tala"}}`, `{"title":"Lead","company":{"name":"Tala"}}`, "Lead at Tala"},
	} {
		result, err := ParseResult([]byte(`{"data":[{"profile":{"id":"p","employment":{"current":` + test.current +
			`,"all":[` + test.first + `]}}}]}`))
		if err != nil {
			t.Fatal(err)
		}
		current := result.Data[0].Profile.Employment.Current
		if got := current.Title + " at " + current.Company.Name; got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}

func TestValidEnrichmentID(t *testing.T) {
	for id, want := range map[string]bool{
		testID: true, strings.ToUpper(testID): true, "": false, "x": false,
		strings.ReplaceAll(testID, "-", ""): false, "{" + testID + "}": false, testID + "\n": false, " " + testID: false,
		"00000000-0000-0000-0000-000000000000": false, "0c9d6c1e-5a55-4a0e-9b2f-0d6f7d0f9a1g": false,
		"urn:uuid:" + testID: false, "..": false,
	} {
		if ValidEnrichmentID(id) != want {
			t.Errorf("ValidEnrichmentID(%q) = %v", id, !want)
		}
	}
}

func TestParseYearMonth(t *testing.T) {
	for date, want := range map[string]string{
		"2021-02-01T00:00:00Z": "2021-02", "2024-1-0T00:00:00.000Z": "2024-01", "2024-12": "2024-12", "2024/3": "2024-03",
		" 2024-03-99": "2024-03", "2024": "2024", "2024-13-01": "2024", "2024-00-01": "2024", "2024-": "2024",
		"": "", "present": "", "0001-01-01T00:00:00Z": "", "1899-01": "", "20240301": "", "02/2024": "", "2024-123": "2024",
	} {
		got, ok := ParseYearMonth(date)
		if got.String() != want || ok != (want != "") {
			t.Errorf("ParseYearMonth(%q) = %v, %v, want %q", date, got, ok, want)
		}
	}
	if got, _ := ParseYearMonth("2021-02-01"); got != (YearMonth{2021, time.February}) {
		t.Errorf("ParseYearMonth = %#v", got)
	}
}

func FuzzParseResult(f *testing.F) {
	files, _ := filepath.Glob("testdata/results/*.json")
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Add([]byte(`{"cost":{"credits":1e999},"data":[[],"",{"profile":{"employment":{"all":[0]}}}]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		result, err := ParseResult(raw)
		if err != nil && !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrUnsupportedShape) {
			t.Errorf("unknown error %v", err)
		}
		for _, record := range result.Data {
			if !json.Valid(record.Raw) {
				t.Errorf("raw record %q", record.Raw)
			}
			if record.Err != nil && record.Profile != nil {
				t.Error("a record is both read and not read")
			}
			_ = record.Profile.Found()
		}
		encoded, err := json.Marshal(result)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(encoded), `\u0000`) {
			t.Error("a NUL came through")
		}
	})
}
