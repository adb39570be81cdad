package intake

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

func createAs(t testing.TB, u *Uploads, file []byte, encoding string) UploadView {
	t.Helper()
	up, err := u.Create(t.Context(), strings.NewReader(string(file)), UploadRequest{FileName: "list.csv", Encoding: encoding})
	if err != nil {
		t.Fatal(err)
	}
	return up
}

func TestAFileInDoubtIsAskedAboutBeforeItIsImported(t *testing.T) {
	store, _ := openStore(t)
	u := newUploads(t, store, &enroller{}, Config{})
	file := encodeAs(t, "GB18030", "email,name\nwei@qq.com,王伟\n")
	up := createAs(t, u, file, "")
	if up.Status != liwanag.UploadNeedsMapping || up.Failure.Code != CodeUnclearEncoding || !strings.Contains(up.Failure.Message, "GB18030") {
		t.Fatalf("%+v", up.Upload)
	}
	samples, err := u.Encodings(t.Context(), up.Upload)
	if err != nil || len(samples) < 2 {
		t.Fatal(samples, err)
	}
	for _, s := range samples {
		if s.Name == "GB18030" && cmp.Diff([]string{"王伟"}, s.Values) != "" {
			t.Errorf("%+v", s)
		}
	}
	// Another mapping does not make it clear.
	if again, err := u.Remap(t.Context(), up.ID, Reading{Mapping: map[string]Field{"name": FieldFullName}}); err != nil ||
		again.Status != liwanag.UploadNeedsMapping {
		t.Errorf("%+v, %v", again.Upload, err)
	}
	named, err := u.Remap(t.Context(), up.ID, Reading{Encoding: "gbk"})
	if err != nil || named.Status != liwanag.UploadPreviewed || named.Encoding != "GB18030" || named.Failure.Code != "" {
		t.Fatalf("%+v, %v", named.Upload, err)
	}
	importAll(t, u, up.ID)
	if p, err := store.Subscribers.ByEmail(t.Context(), "wei@qq.com"); err != nil || p.Summary.FullName != "王伟" {
		t.Errorf("%+v, %v", p.Summary, err)
	}
	given := createAs(t, u, file, "EUC-KR")
	if given.Status != liwanag.UploadPreviewed || given.Encoding != "EUC-KR" {
		t.Errorf("%+v", given.Upload)
	}
	var refused *FileError
	if _, err := u.Create(t.Context(), strings.NewReader(string(file)), UploadRequest{Encoding: "morse"}); !errors.As(err, &refused) ||
		refused.Code != "unknown_encoding" {
		t.Error(err)
	}
}

// What is not ASCII may begin behind what is looked at first.
func TestTheEncodingIsFoundWhereverItShows(t *testing.T) {
	store, _ := openStore(t)
	u := newUploads(t, store, &enroller{}, Config{})
	var file strings.Builder
	file.WriteString("email,name\n")
	for i := range 5000 {
		fmt.Fprintf(&file, "p%d@gmail.com,Ann Lee\n", i)
	}
	file.WriteString("taro@yahoo.co.jp,山田太郎\n")
	up := createAs(t, u, encodeAs(t, "Shift_JIS", file.String()), "")
	if up.Status != liwanag.UploadPreviewed || up.Encoding != "Shift_JIS" || up.Counts.New != 5001 {
		t.Fatalf("%+v", up.Upload)
	}
	if samples, err := u.Encodings(t.Context(), up.Upload); err != nil || len(samples) != 1 || samples[0].Values[0] != "山田太郎" {
		t.Error(samples, err)
	}
	importAll(t, u, up.ID)
	if p, err := store.Subscribers.ByEmail(t.Context(), "taro@yahoo.co.jp"); err != nil || p.Summary.FullName != "山田太郎" {
		t.Errorf("%+v, %v", p.Summary, err)
	}
}

func TestEncodingsGoByTheirUsualNames(t *testing.T) {
	for name, want := range map[string]string{"utf8": "UTF-8", "latin1": "windows-1252", "cp1252": "windows-1252",
		"ansi": "windows-1252", "sjis": "Shift_JIS",
		"CP932": "Shift_JIS", "GBK": "GB18030", "MacRoman": "macintosh", "iso-8859-1": "windows-1252", "utf-16": "UTF-16LE", "koi8-r": "KOI8-R",
		"cp850": "IBM850", "cp1251": "windows-1251", "euc_kr": "EUC-KR"} {
		if shown, _, ok := EncodingNamed(name); !ok || shown != want {
			t.Errorf("%s is shown as %q", name, shown)
		}
	}
}
