package console

import (
	"cmp"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"net/http"
	"path"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/apiclient"
)

//go:embed assets
var embedded embed.FS

// assetsVersion changes with any file, so that each may be cached for ever.
var assetsVersion = func() string {
	all := sha256.New()
	_ = fs.WalkDir(embedded, "assets", func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			content, _ := embedded.ReadFile(name)
			all.Write([]byte(name))
			all.Write(content)
		}
		return err
	})
	return hex.EncodeToString(all.Sum(nil)[:6])
}()

var assetTypes = map[string]string{".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}

// asset is the address of an embedded file.
func asset(name string) string { return "/assets/" + assetsVersion + "/" + name }

func (c *Console) registerAssets() {
	c.open("GET /assets/{version}/{file...}", func(v *visit) error {
		name := path.Join("assets", path.Clean("/"+v.PathValue("file")))
		content, err := embedded.ReadFile(name)
		if err != nil {
			return &apiclient.Problem{Problem: api.Problem{Status: http.StatusNotFound, Code: "not_found"}}
		}
		h := v.w.Header()
		h.Set("Content-Type", cmp.Or(assetTypes[path.Ext(name)], "text/plain; charset=utf-8"))
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
		if v.PathValue("version") != assetsVersion {
			h.Set("Cache-Control", "no-store")
		}
		_, _ = v.w.Write(content) // the browser is gone: nobody to tell
		return nil
	})
}
