// Command assets fetches the console's vendored files from the npm registry, and
// refuses what is not what the manifest says.
//
//	go run ./assets ../internal/console/assets/vendor
package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// packaged is an entry of manifest.json.
type packaged struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	License string `json:"license"`
	Source  string `json:"source"` // the tarball
	Files   []struct {
		File   string `json:"file"`   // its name here
		Path   string `json:"path"`   // its path in the tarball
		SHA256 string `json:"sha256"` // in hexadecimal
	} `json:"files"`
}

const maxTarball = 32 << 20

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: assets DIR")
		os.Exit(2)
	}
	if err := fetchAll(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "assets:", err)
		os.Exit(1)
	}
}

func fetchAll(dir string) error {
	raw, err := os.ReadFile(filepath.Join(dir, "manifest.json"))
	if err != nil {
		return err
	}
	var manifest []packaged
	if err := json.Unmarshal(raw, &manifest); err != nil {
		return fmt.Errorf("manifest.json: %w", err)
	}
	for _, p := range manifest {
		if err := p.fetch(dir); err != nil {
			return fmt.Errorf("%s %s: %w", p.Name, p.Version, err)
		}
		fmt.Println(p.Name, p.Version)
	}
	return nil
}

func (p packaged) fetch(dir string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.Source, nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", p.Source, res.Status)
	}
	contents, err := unpack(io.LimitReader(res.Body, maxTarball))
	if err != nil {
		return err
	}
	for _, f := range p.Files {
		content := contents[f.Path]
		if sum := sha256.Sum256(content); hex.EncodeToString(sum[:]) != f.SHA256 {
			return fmt.Errorf("%s is not what the manifest says: %x", f.Path, sum)
		}
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(f.File)), content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// unpack reads the files of a tarball.
func unpack(r io.Reader) (map[string][]byte, error) {
	plain, err := gzip.NewReader(r)
	if err != nil {
		return nil, err
	}
	contents := map[string][]byte{}
	for files := tar.NewReader(plain); ; {
		h, err := files.Next()
		if errors.Is(err, io.EOF) {
			return contents, nil
		}
		if err != nil {
			return nil, err
		}
		var content bytes.Buffer
		if _, err := io.Copy(&content, io.LimitReader(files, maxTarball)); err != nil {
			return nil, err
		}
		contents[h.Name] = content.Bytes()
	}
}
