package migrate

import (
	"testing"
	"testing/fstest"
)

func files(names ...string) fstest.MapFS {
	all := fstest.MapFS{}
	for _, name := range names {
		all[name] = &fstest.MapFile{Data: []byte("-- +goose Up\nSELECT '" + name + "';\n")}
	}
	return all
}

func TestStepsAreReadInTheOrderOfTheirVersions(t *testing.T) {
	steps, err := Read(files("00010_c.sql", "00002_b.sql", "00001_a.sql", "notes.txt"))
	if err != nil {
		t.Fatal(err)
	}
	if Newest(steps) != 10 || len(After(steps, 0)) != 3 || len(After(steps, 10)) != 0 {
		t.Errorf("got %v", steps)
	}
	if left := After(steps, 1); len(left) != 2 || left[0].Name != "00002_b.sql" {
		t.Errorf("after 1: %v", left)
	}
}

func TestAFileWithoutAVersionOfItsOwnIsRefused(t *testing.T) {
	for _, names := range [][]string{{"a.sql"}, {"00000_a.sql"}, {"-1_a.sql"}, {"00001_a.sql", "00001_b.sql"}, {"1_a.sql", "01_b.sql"}} {
		if steps, err := Read(files(names...)); err == nil {
			t.Errorf("%q were read as %v", names, steps)
		}
	}
}

func TestAScriptIsWhatASchemaLacks(t *testing.T) {
	script, err := Script(files("00001_a.sql", "00002_b.sql"), 1)
	if want := "-- 00002_b.sql\nSELECT '00002_b.sql';\n\n"; err != nil || script != want {
		t.Errorf("got %q, %v, want %q", script, err, want)
	}
}
