package intake

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore/datastoretest"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

// node is one of several Uploads on one store, which can be disturbed.
type node struct {
	*datastore.Store
	*Uploads
	writes  atomic.Int64
	disturb func(write int64) error // before each Write, from 1; an error fails it
	files   atomic.Int64            // how often a file was read from its beginning
}

func newNode(t *testing.T, store *datastore.Store, e *enroller, name string) *node {
	n := &node{Store: store}
	n.Uploads = newUploads(t, datastoretest.Watch(store, n.writing, n.reading), e, Config{Node: name})
	return n
}

func (n *node) writing() error {
	if write := n.writes.Add(1); n.disturb != nil {
		return n.disturb(write)
	}
	return nil
}

func (n *node) reading(query string, args []any) error {
	if strings.Contains(query, "FROM upload_chunk") && args[1] == 0 {
		n.files.Add(1)
	}
	return nil
}

// runs starts a node; stop ends it in good order.
func (n *node) runs() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var ended sync.WaitGroup
	ended.Go(func() { _ = n.Run(ctx) })
	return func() { cancel(); ended.Wait() }
}

func upload(t *testing.T, store *datastore.Store, id liwanag.ID) liwanag.Upload {
	t.Helper()
	up, err := store.Uploads.Get(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return up
}

// wantOnce checks that all people of a file were imported, each once.
func wantOnce(t *testing.T, store *datastore.Store, e *enroller, id liwanag.ID, people int64) {
	t.Helper()
	progress, err := store.Uploads.Progress(t.Context(), id)
	if up := upload(t, store, id); err != nil || up.Status != liwanag.UploadEnriching || up.Counts.New != people ||
		progress.Imported != people {
		t.Errorf("%+v, %+v, %v", up, progress, err)
	}
	jobs := int64(0)
	for _, n := range batchSizes(t, store, e) {
		jobs += int64(n)
	}
	if jobs != people {
		t.Errorf("%d jobs in batches, want %d", jobs, people)
	}
}

func TestTwoNodesImportAnUploadOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, _ := openStore(t)
		e := &enroller{}
		a, b := newNode(t, store, e, "a"), newNode(t, store, e, "b")
		preview := create(t, a.Uploads, people(2_000))
		if _, err := a.Confirm(t.Context(), preview.ID, nil); err != nil {
			t.Fatal(err)
		}
		for _, n := range []*node{a, b} { // time passes between pieces, so that the other one looks
			n.disturb = func(int64) error {
				time.Sleep(firstLook)
				return nil
			}
			defer n.runs()()
		}
		time.Sleep(time.Hour) // their lookups go on
		wantOnce(t, store, e, preview.ID, 2_000)
		if files := a.files.Load() + b.files.Load(); files != 1 {
			t.Errorf("the file was read %d times", files)
		}
	})
}

func TestAnUploadThatWasConfirmedOnANodeThatDiedIsImportedByAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, _ := openStore(t)
		e := &enroller{}
		b := newNode(t, store, e, "b")
		defer b.runs()()
		time.Sleep(10 * time.Minute) // nothing is to be done
		a := newNode(t, store, e, "a")
		preview := create(t, a.Uploads, people(300))
		if _, err := a.Confirm(t.Context(), preview.ID, nil); err != nil {
			t.Fatal(err)
		}
		time.Sleep(maxLook)
		synctest.Wait()
		wantOnce(t, store, e, preview.ID, 300)
	})
}

var errKilled = errors.New("killed")

func TestAnImportGoesOnElsewhereAfterItsNodeDied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, _ := openStore(t)
		e := &enroller{}
		a, b := newNode(t, store, e, "a"), newNode(t, store, e, "b")
		preview := create(t, a.Uploads, people(1_000))
		if _, err := a.Confirm(t.Context(), preview.ID, nil); err != nil {
			t.Fatal(err)
		}
		alive := a.writes.Load() + 3 // the claim and two pieces
		a.disturb = func(n int64) error {
			if n > alive {
				return errKilled
			}
			return nil
		}
		if _, err := a.advance(t.Context()); !errors.Is(err, errKilled) {
			t.Fatal(err)
		}
		died := upload(t, store, preview.ID)
		if died.Position == 0 || died.Position == 1_000 {
			t.Fatalf("it died at row %d", died.Position)
		}
		defer b.runs()()
		time.Sleep(claimFor - time.Second)
		if up := upload(t, store, preview.ID); up.Position != died.Position || b.files.Load() != 0 {
			t.Errorf("taken over while its node may live: %+v", up)
		}
		time.Sleep(maxLook + time.Second)
		synctest.Wait()
		wantOnce(t, store, e, preview.ID, 1_000)
	})
}

func TestAnImportWhoseNodeStopsGoesOnElsewhereWithTheNextLook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, _ := openStore(t)
		e := &enroller{}
		a, b := newNode(t, store, e, "a"), newNode(t, store, e, "b")
		preview := create(t, a.Uploads, people(1_000))
		if _, err := a.Confirm(t.Context(), preview.ID, nil); err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		third := a.writes.Load() + 3
		a.disturb = func(n int64) error {
			if n == third {
				stop()
			}
			return nil
		}
		if err := a.Run(ctx); err != nil {
			t.Error(err)
		}
		if up := upload(t, store, preview.ID); up.Status != liwanag.UploadImporting || up.Position == 1_000 {
			t.Fatalf("it was not stopped in the middle: %+v", up)
		}
		defer b.runs()()
		synctest.Wait() // b's first look
		wantOnce(t, store, e, preview.ID, 1_000)
	})
}

// A node that was paused in the middle of an import leaves it alone when it comes
// back, however far the other one is by then.
func TestAPausedNodeThatComesBackLeavesItsImportAlone(t *testing.T) {
	for name, pause := range map[string]time.Duration{"before the claim is over": claimFor / 2,
		"after another node has finished": 2 * (claimFor + maxLook)} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store, _ := openStore(t)
				e := &enroller{}
				a, b := newNode(t, store, e, "a"), newNode(t, store, e, "b")
				preview := create(t, a.Uploads, people(1_000))
				if _, err := a.Confirm(t.Context(), preview.ID, nil); err != nil {
					t.Fatal(err)
				}
				third := a.writes.Load() + 3
				a.disturb = func(n int64) error {
					if n == third {
						time.Sleep(pause)
					}
					return nil
				}
				defer a.runs()()
				time.Sleep(time.Second)
				defer b.runs()()
				time.Sleep(time.Hour)
				wantOnce(t, store, e, preview.ID, 1_000)
				if other := b.files.Load() == 1; other != (pause > claimFor) {
					t.Errorf("the other node imported: %t", other)
				}
			})
		})
	}
}

func TestACancelOnAnotherNodeStopsAnImport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, _ := openStore(t)
		a, b := newNode(t, store, &enroller{}, "a"), newNode(t, store, &enroller{}, "b")
		preview := create(t, a.Uploads, people(1_000))
		if _, err := a.Confirm(t.Context(), preview.ID, nil); err != nil {
			t.Fatal(err)
		}
		third := a.writes.Load() + 3
		a.disturb = func(n int64) error {
			if n == third {
				if _, err := b.Cancel(context.Background(), preview.ID); err != nil {
					t.Error(err)
				}
			}
			return nil
		}
		defer a.runs()()
		time.Sleep(time.Hour)
		if up := upload(t, store, preview.ID); up.Status != liwanag.UploadCanceled || up.Position == 0 || up.Position == 1_000 {
			t.Errorf("%+v", up)
		}
	})
}
