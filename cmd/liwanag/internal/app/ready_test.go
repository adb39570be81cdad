package app

import (
	"net/http"
	"os"
	"testing"
)

func TestReadinessEndsWhenTheDatabaseFileIsMovedAway(t *testing.T) {
	base, _ := startSimulator(t, 200)
	r := start(t, Config{Settings: settings(t, base)})
	ready := func() bool { return call(t, "GET", r.URL()+"/readyz", "", nil) == http.StatusOK }
	await(t, "readiness", ready)
	path := r.storage.where
	for _, file := range []string{path, path + "-wal"} {
		if err := os.Rename(file, file+".old"); err != nil {
			t.Fatal(err)
		}
		if ready() {
			t.Errorf("ready without %s", file)
		}
		if err := os.Rename(file+".old", file); err != nil {
			t.Fatal(err)
		}
		if !ready() {
			t.Errorf("%s is back", file)
		}
	}
	r.halt(t)
}
