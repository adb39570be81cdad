package console

import (
	"strings"
	"testing"

	"github.com/liwanag/liwanag/workflow/runapi"
)

func TestARunWithoutADefinitionAndAnEventSetAsideAreSaidToBe(t *testing.T) {
	r := runapi.RunDetail{Run: runapi.Run{Status: "waiting", NoDefinition: "the run went on elsewhere",
		WaitingFor: &runapi.WaitingFor{Step: "w", Kind: "event"}}}
	if got := runNow(r.Run); got != "no definition" {
		t.Errorf("in the list it is %q", got)
	}
	var b strings.Builder
	if err := runState(runView{Run: r}).Render(t.Context(), &b); err != nil ||
		!strings.Contains(b.String(), "No definition: the run went on elsewhere.") {
		t.Errorf("its page says %s, %v", b.String(), err)
	}
	if got := eventFate(runapi.RunEvent{SetAside: "of another type"}); got != "set aside: of another type" {
		t.Errorf("the event is %q", got)
	}
}
