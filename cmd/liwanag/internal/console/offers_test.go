package console

import (
	"strings"
	"testing"

	"github.com/liwanag/liwanag/workflow/runapi"
)

// notRead are pages that the API answers 403 to who may only read, and the sign-in.
var notRead = []string{"/sign-in", "/runs/cancel", "/runs/retry", "/subscribers/act", "/deliveries", "/sinks", "/keys", "/audit"}

// offeredActs counts what a page offers beside reading.
func offeredActs(t *testing.T, page string) (acts int) {
	t.Helper()
	for _, n := range elements(read(t, page)) {
		action, href := attribute(n, "action"), attribute(n, "href")
		switch {
		case n.Data == "form" && (attribute(n, "method") == "post" && action != "/sign-out" || action == "/subscribers/export"),
			n.Data == "input" && attribute(n, "name") == "id" && attribute(n, "type") == "checkbox",
			n.Data == "a" && (href == "/keys" || href == "/sinks" || href == "/audit"):
			acts++
		}
	}
	return acts
}

func TestWhoMayOnlyReadIsOfferedNoAct(t *testing.T) {
	all, reader := served(t, newAPI(t, answers())), served(t, newAPI(t, answers()), runapi.ScopeRead)
	before := 0
next:
	for _, target := range everyPage {
		for _, prefix := range notRead {
			if strings.HasPrefix(target, prefix) {
				continue next
			}
		}
		before += offeredActs(t, visitPage(t, all, "GET", target, "").Body.String())
		if n := offeredActs(t, visitPage(t, reader, "GET", target, "").Body.String()); n > 0 {
			t.Errorf("%s offers %d acts", target, n)
		}
	}
	if before < 100 {
		t.Errorf("only %d acts are offered to whoever may do everything", before)
	}
}
