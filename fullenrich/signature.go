package fullenrich

import (
	"crypto/hmac"
	"crypto/sha1" // #nosec G505 -- FullEnrich signs with HMAC-SHA1; collisions do not break an HMAC.
	"encoding/hex"
)

// SignatureHeader carries the signature of a webhook: 40 hexadecimal digits.
const SignatureHeader = "X-Signature-SHA1"

// Sign returns the signature FullEnrich puts on a webhook: HMAC-SHA1 of the raw
// body under the workspace's API key, as 40 lower-case hexadecimal digits.
func Sign(key Secret, body []byte) string {
	return hex.EncodeToString(mac(key, body))
}

// Verify reports whether header is the signature of exactly these bytes under
// any of keys; give the current key and, while keys rotate, the previous one.
// An empty key never verifies anything, and no keys means false.
func Verify(body []byte, header string, keys ...Secret) bool {
	if len(header) != hex.EncodedLen(sha1.Size) {
		return false
	}
	given, err := hex.DecodeString(header)
	if err != nil {
		return false
	}
	valid := false
	for _, key := range keys {
		// Every key is tried, so that timing does not tell which one matched.
		if key != "" && hmac.Equal(given, mac(key, body)) {
			valid = true
		}
	}
	return valid
}

func mac(key Secret, body []byte) []byte {
	h := hmac.New(sha1.New, []byte(key.Reveal()))
	h.Write(body)
	return h.Sum(nil)
}
