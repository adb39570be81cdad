package intake

import (
	"strings"
	"testing"
	"time"
)

func TestTimesAreReadInEveryWayThatHasOneMeaning(t *testing.T) {
	day := time.Date(2026, 3, 5, 0, 0, 0, 0, time.UTC)
	at := day.Add(9*time.Hour + 12*time.Minute)
	for cell, want := range map[string]time.Time{
		"2026-03-05": day, "2026/3/5": day, "2026.03.05": day, "05.03.2026": day, "5. 3. 2026": day, "20260305": day, "2026-03-05 09:12": at,
		"2026-03-05T09:12:00Z": at, "2026-03-05T09:12": at, "2026-03-05 09:12:00 UTC": at, "2026-03-05 10:12:00 +0100": at, "2026-03-05T10:12:00+01:00": at,
		"2026-03-05 09:12:00.000": at, "05.03.2026 09:12": at, "05.03.2026, 09:12 Uhr": at, "5 March 2026": day, "05 Mar 2026": day, "5-Mar-2026": day,
		"Mar 5, 2026": day, "March 5th, 2026 9:12 AM": at, "Mar 5, 2026, 9:12 a.m.": at, "Thu, 05 Mar 2026 09:12:00 +0000": at,
		"Thu Mar  5 09:12:00 2026": at, "5. März 2026": day, "5 mars 2026": day, "jeudi 5 mars 2026": day, "5 de marzo de 2026": day, "1772701920": at,
		"1772701920000": at, "2026年3月5日": day, "2026年3月5日 9:12": at, "2026년 3월 5일": day, "2026. 3. 5.": day, "25/03/2026": day.AddDate(0, 0, 20),
		"03/25/2026 09:12": at.AddDate(0, 0, 20), "03/03/2026": day.AddDate(0, 0, -2), "20260305091200": at,
		"20260305T091200Z": at, "20260305T0912": at, "Thu Mar 05 2026 10:12:00 GMT+0100 (Central European Standard Time)": at,
		"5-Mar-26": day, "05-MAR-26 09:12": at, "3/25/26 9:12": at.AddDate(0, 0, 20),
		"2026. 3. 5 오전 9:12:00": at, "2026/3/5 上午9:12": at,
		"2026/03/05 午後9:12":             at.Add(12 * time.Hour),
		"2026-03-05 10:12:00.123456+01": at.Add(123456 * time.Microsecond), "2026-03-05 09:12-00": at,
		"1772701920.5": at.Add(time.Second / 2), "5 марта 2026 г.": day, "5 марта 2026": day, "5 marca 2026": day, "5 Mart 2026": day,
		"5. maj 2026": day.AddDate(0, 2, 0), "05 Ağu 2026 09:12": at.AddDate(0, 5, 0), "5 października 2026": day.AddDate(0, 7, 0),
		"5 août 2026": day.AddDate(0, 5, 0), "5 juillet 2026": day.AddDate(0, 4, 0), "5 juin 2026": day.AddDate(0, 3, 0),
	} {
		if got, ok := parseTime(cell, orderUnknown); !ok || !got.Equal(want) {
			t.Errorf("%s: %v %t, want %v", cell, got, ok, want)
		}
	}
	for _, cell := range []string{"", "yesterday", "05/03/2026", "5/3/26",
		"25/3/26", "20260305T2512", "2026-02-30", "2026-13-01", "45356", "45356.384", "-772701920.5", "1772701920.-5", "1772701920.x", "09:12",
		"2026-03-05 25:00", "2026-03-05 09:12 EST",
		"0000-00-00", "March", "5 foo 2026", "2026"} {
		if got, ok := parseTime(cell, orderUnknown); ok {
			t.Errorf("%s was taken for %v", cell, got)
		}
	}
}

func TestTheOtherDatesOfAColumnTellHowItWritesThem(t *testing.T) {
	for dates, want := range map[string]string{
		"05/03/2026,25/03/2026":            "2026-03-05",
		"05/03/2026 09:12:33,03/25/2026":   "2026-05-03",
		"05/03/2026,25/03/2026,03/25/2026": "",
		"05/03/2026,06/03/2026":            "",
		"3/5/26 9:12,4/25/26 21:12":        "2026-03-05",
		"3/5/26,4/6/26":                    "",
	} {
		file := "email;created\na@x.com;" + strings.ReplaceAll(dates, ",", "\nb@x.com;") + "\n"
		good, _, _ := readAll(t, strings.NewReader(file), nil)
		got := ""
		if !good[0].Timestamp.IsZero() {
			got = good[0].Timestamp.Format(time.DateOnly)
		}
		if got != want {
			t.Errorf("%s: the first is %q, want %q", dates, got, want)
		}
	}
}

func TestASampleNamesTheCellsThatAreNoTimes(t *testing.T) {
	store, _ := openStore(t)
	u := newUploads(t, store, &enroller{}, Config{})
	up := create(t, u, "email,created\nann@gmail.com,05/03/2026\nben@gmail.com,2026-03-05\n")
	rows, err := u.Sample(t.Context(), up.ID)
	if err != nil || len(rows) != 2 || len(rows[0].Unread) != 1 || rows[0].Unread[0] != "created" || rows[1].Unread != nil {
		t.Fatalf("%+v, %v", rows, err)
	}
	importAll(t, u, up.ID)
	if p, err := store.Subscribers.ByEmail(t.Context(), "ann@gmail.com"); err != nil || string(p.Metadata) != `{"created":"05/03/2026"}` {
		t.Errorf("%s, %v", p.Metadata, err)
	}
}
