package enrichment_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/enrichment"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/fullenrich/simulator"
)

func utf16LE(text string) []byte {
	out := []byte{0xff, 0xfe}
	for _, u := range utf16.Encode([]rune(text)) {
		out = binary.LittleEndian.AppendUint16(out, u)
	}
	return out
}

// file keeps a file in pieces that cut rows.
func (w *world) file(raw []byte, piece int) liwanag.ID {
	w.t.Helper()
	up := liwanag.Upload{ID: liwanag.NewID(liwanag.UploadKind), FileName: "people.csv", Status: liwanag.UploadPreviewed, CreatedAt: time.Now()}
	w.must(w.life.store.Write(context.Background(), func(tx *datastore.Tx) error {
		if err := tx.Uploads.Insert(up); err != nil {
			return err
		}
		for n := 0; len(raw) > 0; n++ {
			if err := tx.Uploads.PutChunk(up.ID, n, raw[:min(piece, len(raw))]); err != nil {
				return err
			}
			raw = raw[min(piece, len(raw)):]
		}
		return tx.Uploads.AddErrors(up.ID, []liwanag.UploadRowError{{Row: 1, Reason: "r", Cells: []string{"Ana Anders", strings.ToUpper(ana)}},
			{Row: 2, Reason: "r", Cells: []string{ben}}})
	}))
	return up.ID
}

func (w *world) contents(id liwanag.ID) string {
	w.t.Helper()
	var all []byte
	for n := 0; ; n++ {
		piece, err := w.life.store.Uploads.Chunk(context.Background(), id, n)
		if err != nil {
			return string(all)
		}
		all = append(all, piece...)
	}
}

func TestAnUnfinishedUploadLetsGoOfWhoIsErased(t *testing.T) {
	inWorld(t, enrichment.Config{}, simulator.Config{}, func(w *world) {
		w.signUp(ana, ben)
		rows := fmt.Sprintf("email,name,note\r\n%s,Ben,\"says \"\"hi\"\",\r\ntwice\"\r\n"+
			"%s,\"Änders, Ana\",\"a\r\nb\"\r\nx%s,Xana,\r\n", ben, ana, ana)
		blanked := "email,name,note\r\n" + rows[len("email,name,note\r\n"):strings.Index(rows, ana)] +
			strings.Repeat("x", len(ana)) + `,"xxxxxxx, xxx","x` + "\r\n" + `x"` + "\r\n" + rows[strings.Index(rows, "x"+ana):]
		plain, wide := w.file([]byte(rows), 30), w.file(utf16LE(rows), 30)
		w.must(errOf(w.life.svc.Erase(context.Background(), w.subscriber(ana).ID)))
		if got := w.contents(plain); got != blanked {
			t.Errorf("%q\nwant %q", got, blanked)
		}
		if got, want := w.contents(wide), string(utf16LE(strings.Replace(blanked, "xxxxxxx, xxx", "xxxxxx, xxx", 1))); got != want {
			t.Errorf("%q\nwant %q", got, want)
		}
		faults, err := w.life.store.Uploads.Errors(context.Background(), plain, 0, 10)
		w.must(err)
		if len(faults) != 2 || faults[0].Cells != nil || len(faults[1].Cells) != 1 {
			t.Errorf("%+v", faults)
		}
	})
}

func TestAScrubThatFailedIsRepeated(t *testing.T) {
	inWorld(t, enrichment.Config{SweepEvery: time.Minute}, simulator.Config{}, func(w *world) {
		w.signUp(ana, ben)
		ctx := context.Background()
		var scrubs int
		var fails error
		w.life.svc.ScrubWith(func(context.Context) error { scrubs++; return fails })
		fails = liwanag.ErrDatabase
		id := w.subscriber(ana).ID
		if _, err := w.life.svc.Erase(ctx, id); err == nil {
			t.Error("a scrub that failed is not told")
		}
		if _, err := w.life.svc.Erase(ctx, id); err == nil || scrubs != 2 {
			t.Errorf("%d scrubs: %v", scrubs, err)
		}
		fails = nil
		w.must(errOf(w.life.svc.Erase(ctx, id)))
		w.sleep(2 * time.Minute)
		if scrubs != 3 {
			t.Errorf("%d scrubs", scrubs)
		}
		fails = liwanag.ErrDatabase
		if _, err := w.life.svc.Erase(ctx, w.subscriber(ben).ID); err == nil {
			t.Error("a scrub that failed is not told")
		}
		fails = nil
		w.sleep(2 * time.Minute)
		if scrubs != 5 {
			t.Errorf("%d scrubs: the sweep does not repeat it", scrubs)
		}
	})
}
