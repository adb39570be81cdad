package liwanag

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"
)

func TestIDsReadBackFromTextBytesAndJSON(t *testing.T) {
	for _, kind := range []Kind{RunKind, SubscriberKind, JobKind, UploadKind, SubmissionKind} {
		id := NewID(kind)
		if !strings.HasPrefix(id.String(), string(kind)) {
			t.Errorf("%s does not begin with %s", id, kind)
		}
		if got, err := ParseID(kind, id.String()); err != nil || got != id {
			t.Errorf("ParseID(%s) = %v, %v", id, got, err)
		}
		if got, err := IDFromBytes(kind, id.Bytes()); err != nil || got != id {
			t.Errorf("IDFromBytes(%s) = %v, %v", id, got, err)
		}
		text, err := json.Marshal(id)
		if err != nil {
			t.Fatal(err)
		}
		var got ID
		if err := json.Unmarshal(text, &got); err != nil || got != id {
			t.Errorf("json %s = %v, %v", text, got, err)
		}
	}
}

func TestOnlyTheExactTextOfTheRightKindIsAnID(t *testing.T) {
	id := NewID(JobKind).String()
	for _, text := range []string{
		"", "job_", id[4:], "run_" + id[4:], strings.ToUpper(id), id + "0", " " + id,
		"job_" + strings.ReplaceAll(id[4:], "-", ""), "job_{" + id[4:38] + "}",
	} {
		if got, err := ParseID(JobKind, text); !errors.Is(err, ErrInvalidID) {
			t.Errorf("ParseID(%q) = %v, %v", text, got, err)
		}
	}
	if _, err := IDFromBytes(JobKind, []byte("short")); !errors.Is(err, ErrInvalidID) {
		t.Errorf("short bytes: %v", err)
	}
}

func TestIDsAreOrderedByCreation(t *testing.T) {
	last := NewID(JobKind)
	for range 1000 {
		next := NewID(JobKind)
		if last.Compare(next) >= 0 || last.String() >= next.String() {
			t.Fatalf("%s is not before %s", last, next)
		}
		last = next
	}
}

func TestTheZeroIDNamesNothing(t *testing.T) {
	var id ID
	if got, err := IDFromBytes(JobKind, nil); err != nil || got != id || !id.IsZero() || id.String() != "" || id.Bytes() != nil {
		t.Errorf("zero id: %v %v %q %v", got, err, id, id.Bytes())
	}
}

func TestDaysAndMinutesAreUTCWindows(t *testing.T) {
	at := time.Date(2026, 3, 29, 1, 59, 59, 0, time.FixedZone("CET", 3600))
	if got := DayOf(at).End(); !got.Equal(time.Date(2026, 3, 30, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("day ends %v", got)
	}
	if got := MinuteOf(at).End(); !got.Equal(time.Date(2026, 3, 29, 1, 0, 0, 0, time.UTC)) {
		t.Errorf("minute ends %v", got)
	}
	if DayOf(time.Unix(-1, 0)) != -1 || MinuteOf(time.Unix(-61, 0)) != -2 {
		t.Error("times before 1970 are rounded towards zero")
	}
}

func TestErrorsKeepTheirCodeAndClassWhenWrapped(t *testing.T) {
	err := error(Wrap(errors.New("file 7"), NotFound, "not_found", "no such job"))
	if !errors.Is(err, ErrNotFound) || ClassOf(err) != NotFound || CodeOf(err) != "not_found" {
		t.Errorf("%v: class %s, code %s", err, ClassOf(err), CodeOf(err))
	}
	if errors.Is(err, ErrState) || ClassOf(errors.New("x")) != Internal {
		t.Error("a foreign error has a code")
	}
}
