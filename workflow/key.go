package workflow

import (
	"fmt"
	"strconv"
	"strings"
)

// CheckName refuses a name of something in a runner's configuration that not every
// database keeps, or shows, as it is. An empty one stands for the default.
func CheckName(what, name string) error {
	if name != "" && !validID(name, MaxLabel) {
		return fmt.Errorf("the %s %.40q: up to %d bytes of UTF-8 without control characters are allowed", what, name, MaxLabel)
	}
	return nil
}

// keyParts makes the slashes of a key those between its parts. What has neither of
// the two characters stands as it is.
var keyParts = strings.NewReplacer("%", "%25", "/", "%2F")

// idempotencyKey is run/step, or /namespace/run/step: no part is empty, so that only
// a key with a namespace begins with a slash.
func (c *Call) idempotencyKey() string {
	step := c.node.Subject()
	key := c.RunID + "/" + step.Name
	if !c.OldKey {
		if key = c.History.place().key(c.RunID) + "/" + keyParts.Replace(step.Name); c.Namespace != "" {
			key = "/" + keyParts.Replace(c.Namespace) + "/" + key
		}
	}
	if step.undo != nil {
		key += anew(c.undos, step)
	}
	if c.node.Undoes() {
		key += "//undo"
	}
	return key
}

// key is the part of idempotency keys that is the run's.
func (p *Place) key(runID string) string {
	if p == nil {
		return keyParts.Replace(runID)
	}
	if p.Key != "" {
		return p.Key
	}
	own := keyParts.Replace(p.Node.Name) + "[" + strconv.Itoa(p.Index) + "]"
	return p.Scope.at.key(p.Scope.RunID) + "/" + own + anew(p.Scope.view.undos, p.Node)
}
