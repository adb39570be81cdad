package workflow

import (
	"fmt"
	"strings"
)

// CheckNamespace refuses a namespace that idempotency keys cannot begin with. An
// empty one is none.
func CheckNamespace(namespace string) error {
	if namespace != "" && !validID(namespace, 200) {
		return fmt.Errorf("the namespace %.40q: up to 200 bytes of UTF-8 without control characters are allowed", namespace)
	}
	return nil
}

// keyParts makes the slashes of a key those between its parts. What has neither of
// the two characters stands as it is.
var keyParts = strings.NewReplacer("%", "%25", "/", "%2F")

// idempotencyKey is run/step, or /namespace/run/step: no part is empty, so that only
// a key with a namespace begins with a slash.
func (c *Call) idempotencyKey() string {
	if c.OldKey {
		return c.RunID + "/" + c.node.Name
	}
	key := keyParts.Replace(c.RunID) + "/" + keyParts.Replace(c.node.Name)
	if c.Namespace != "" {
		key = "/" + keyParts.Replace(c.Namespace) + "/" + key
	}
	return key
}
