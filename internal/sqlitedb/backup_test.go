package sqlitedb

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

func filled(t *testing.T, rows int) *DB {
	t.Helper()
	db, err := Open(t.Context(), Config{Path: filepath.Join(t.TempDir(), "a.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	err = db.Write(t.Context(), func(tx *Tx) error {
		if _, err := tx.Exec("CREATE TABLE n (i INTEGER PRIMARY KEY, text TEXT)"); err != nil {
			return err
		}
		for i := range rows {
			if _, err := tx.Exec("INSERT INTO n VALUES (?, ?)", i, fmt.Sprintf("%0200d", i)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return db
}

func TestABackupIsAsOfOneMomentAndNobodyWaitsForIt(t *testing.T) {
	db := filled(t, 20_000)
	path := filepath.Join(t.TempDir(), "copy.db")
	done := make(chan error, 1)
	go func() { done <- db.Backup(context.Background(), path) }()
	// Pairs of rows: a copy that saw one of them alone is of no moment.
	last, written := 20_000, 0
	for backing := true; backing; written++ {
		err := db.Write(t.Context(), func(tx *Tx) error {
			for range 2 {
				if _, err := tx.Exec("INSERT INTO n VALUES (?, 'x')", last); err != nil {
					return err
				}
				last++
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-done:
			if err != nil {
				t.Fatal(err)
			}
			backing = false
		default:
		}
	}
	copied, err := Open(t.Context(), Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	defer copied.Close()
	var rows int
	if err := copied.Reader().QueryRow("SELECT count(*) FROM n").Scan(&rows); err != nil || rows%2 != 0 || rows < 20_000 {
		t.Errorf("%d rows, %v", rows, err)
	}
	if info, err := os.Stat(path); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	t.Logf("%d writes during the backup", written)
}

func TestABackupOverwritesNothingAndLeavesNoHalf(t *testing.T) {
	db := filled(t, 100)
	dir := t.TempDir()
	path := filepath.Join(dir, "copy.db")
	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := db.Backup(t.Context(), path); !errors.Is(err, fs.ErrExist) {
		t.Errorf("over a file: %v", err)
	}
	if text, _ := os.ReadFile(path); string(text) != "precious" {
		t.Errorf("the file is %q", text)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := db.Backup(ended, filepath.Join(dir, "ended.db")); err == nil {
		t.Error("a backup that was called off succeeded")
	}
	// What a killed one left is not in the way.
	if err := os.WriteFile(filepath.Join(dir, "next.db.part"), []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := db.Backup(t.Context(), filepath.Join(dir, "next.db")); err != nil {
		t.Error(err)
	}
	left, _ := filepath.Glob(filepath.Join(dir, "*.part"))
	if len(left) > 0 {
		t.Errorf("left over: %v", left)
	}
}

func TestADamagedFileIsNotSound(t *testing.T) {
	db := filled(t, 5000)
	path := filepath.Join(t.TempDir(), "copy.db")
	if err := db.Backup(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := Sound(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	middle := append([]byte{}, whole...)
	for i := len(middle) / 2; i < len(middle)/2+20_000; i++ {
		middle[i] = 0xa5
	}
	for name, content := range map[string][]byte{"cut": whole[:len(whole)/2], "empty": nil, "text": []byte("no database"),
		"overwritten": middle} {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := Sound(t.Context(), path); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
