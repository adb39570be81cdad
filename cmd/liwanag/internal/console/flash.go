package console

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
)

// flashCookie carries a message from an action to the page after it. It never
// holds personal data.
const flashCookie = "liwanag_flash"

const maxFlash = 1000

func (v *visit) setFlash(message string) {
	if len(message) > maxFlash {
		message = strings.ToValidUTF8(message[:maxFlash], "") + "…"
	}
	v.cookie(base64.RawURLEncoding.EncodeToString([]byte(message)), 60)
}

// takeFlash returns the message for this page, once.
func (v *visit) takeFlash() string {
	c, err := v.Cookie(flashCookie)
	if err != nil || c.Value == "" {
		return ""
	}
	v.cookie("", -1)
	message, err := base64.RawURLEncoding.DecodeString(c.Value)
	if err != nil {
		return ""
	}
	return strings.ToValidUTF8(string(message), "")
}

func (v *visit) cookie(value string, maxAge int) {
	// #nosec G124 -- it is Secure wherever the connection is; a message is no secret
	http.SetCookie(v.w, &http.Cookie{Name: flashCookie, Value: value, Path: "/", MaxAge: maxAge, HttpOnly: true,
		Secure: v.TLS != nil, SameSite: http.SameSiteLaxMode})
}

// here is the page's own address, for links that change a part of it.
func (v *visit) here(changes ...string) string {
	q := v.URL.Query()
	for name := range q {
		if q.Get(name) == "" {
			q.Del(name)
		}
	}
	for i := 0; i+1 < len(changes); i += 2 {
		if changes[i+1] == "" {
			q.Del(changes[i])
		} else {
			q.Set(changes[i], changes[i+1])
		}
	}
	return address(v.URL.Path, q)
}

func address(path string, q url.Values) string {
	return (&url.URL{Path: path, RawQuery: q.Encode()}).String()
}

// own is a path of this console, or the overview when it is anything else.
func own(path string) string {
	u, err := url.Parse(path)
	if err != nil || u.IsAbs() || u.Host != "" || !strings.HasPrefix(u.Path, "/") || strings.HasPrefix(path, "//") ||
		strings.ContainsAny(path, "\\\r\n\t") {
		return "/"
	}
	return path
}

// matching is the address of something that is done to all that the filter of the
// page selects.
func (v *visit) matching(path string) string {
	q := v.URL.Query()
	for name := range q {
		if name == "cursor" || q.Get(name) == "" {
			q.Del(name)
		}
	}
	return address(path, q)
}
