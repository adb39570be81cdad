package browser

import (
	"context"
	"fmt"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/workflow/runapi"
)

// signedUp brings in people who say where they work, and waits until all can be found.
func (w *world) signedUp() {
	w.t.Helper()
	for i, domain := range []string{"acme.example", "acme.example", "other.example"} {
		source := map[bool]string{true: "blog", false: "shop"}[i == 0]
		_, err := api.AddSubscriber.Call(w.t.Context(), w.client, api.SignUp{Email: fmt.Sprintf("person%d@firm.example", i),
			Source: source, CompanyName: "The firm " + domain, CompanyDomain: domain})
		w.must(err)
	}
	w.eventually("all three are listed", func(ctx context.Context) bool {
		list, err := api.ListSubscribers.Call(ctx, w.client,
			api.SubscriberQuery{SubscriberFilter: api.SubscriberFilter{Q: "firm"}})
		return err == nil && len(list.Items) == 3
	})
}

// rows is how many the list has, for an expression.
const rows = `document.querySelectorAll("#list tbody tr").length`

func chips(n int) string {
	return fmt.Sprintf(`document.querySelectorAll("#list .chip").length === %d`, n)
}

func TestFiltersAreChipsThatAreSavedAsAViewAndRemoved(t *testing.T) {
	w := newWorld(t)
	w.signedUp()
	p := w.signedIn()
	p.goTo("/subscribers?companyDomain=acme.example")
	p.until(chips(1) + " && " + rows + " === 2")
	p.typeInto("#f-source", "blog") // with a script, as one types
	p.until(chips(2) + " && " + rows + " === 1")
	p.until(`!!document.querySelector('[aria-label="Remove filter Source blog"]')`)
	p.accessible("a list with chips")
	p.answer("save", "#view-name", "At Acme")
	p.see("The view is saved")
	p.until(`location.search === "?view=At+Acme" && ` + chips(3))

	p.do(`document.querySelector('[aria-label="Remove filter Source blog"]').focus()`)
	p.keys(kb.Enter)
	p.until(`location.search === "?companyDomain=acme.example" && ` + chips(1) + " && " + rows + " === 2")
	p.run(chromedp.EmulateViewport(390, 844))
	p.goTo("/subscribers?view=At+Acme&metadata.a_key_that_is_long=and_a_value_that_is_longer_than_a_phone_is_wide_by_far")
	p.until(chips(4))
	if over := eval[int](p, `document.documentElement.scrollWidth - innerWidth`); over > 0 {
		t.Errorf("chips are %d pixels wider than a phone", over)
	}
	p.accessible("chips on a phone")
	p.run(chromedp.EmulateViewport(1280, 900))
	p.goTo("/subscribers")
	p.do(`document.getElementById("f-view").value = "At Acme"`)
	p.do(`document.getElementById("f-view").dispatchEvent(new Event("input", {bubbles: true}))`)
	p.until(`location.search.includes("view=At+Acme") && ` + chips(3) + " && " + rows + " === 1")
	p.answer("remove-view")
	p.see("The view is removed")
	p.until(`location.pathname === "/subscribers" && location.search === "" && ` + rows + " === 3 && " + chips(0))
	views, err := api.ListViews.Call(t.Context(), w.client, runapi.NoInput{})
	w.must(err)
	if len(views.Items) != 0 {
		t.Errorf("there are %d views still", len(views.Items))
	}
	p.goTo("/subscribers?companyDomain=acme.example&source=blog")
	p.until(chips(2))
	p.do(`[...document.querySelectorAll(".chips a")].find((a) => a.textContent === "Clear all").click()`)
	p.until(`location.search === "" && ` + rows + " === 3")
}

func TestCompaniesLeadToTheirPeople(t *testing.T) {
	w := newWorld(t)
	w.signedUp()
	p := w.signedIn()
	p.goTo("/subscribers")
	p.click(`#list a[href="/companies"]`)
	p.at("/companies")
	p.until(rows + " === 2")
	p.see("The firm acme.example")
	p.accessible("/companies")
	p.do(`document.querySelector("details.more").open = true`)
	p.typeInto("#f-source", "blog")
	p.until(rows + " === 1 && " + chips(1))
	p.run(chromedp.EmulateViewport(390, 844))
	p.goTo("/companies?source=shop")
	p.until(rows + " === 2")
	if over := eval[int](p, `document.documentElement.scrollWidth - innerWidth`); over > 0 {
		t.Errorf("companies are %d pixels wider than a phone", over)
	}
	p.accessible("/companies on a phone")
	p.click(`#list a[href="/subscribers?companyDomain=acme.example&source=shop"]`)
	p.at("/subscribers")
	p.until(rows + " === 1 && " + chips(2))
	p.see("person1@firm.example")
}

func TestPeopleAreTickedAndWhatIsDoneWithThemIsCountedFirst(t *testing.T) {
	w := newWorld(t)
	w.signedUp()
	p := w.signedIn()
	for _, width := range []int64{1280, 390} {
		p.run(chromedp.EmulateViewport(width, 900))
		p.goTo("/subscribers?columns=source,companyName,tags&sort=company")
		p.until(rows + ` === 3 && document.querySelector("[data-picked]").textContent === "Nobody is selected"`)
		p.do(`document.querySelector("[data-pick]").focus()`)
		p.keys(" ")
		p.until(`document.querySelector("[data-picked]").textContent === "1 selected"`)
		p.do(`document.querySelector("[data-pick-page]").click()`)
		p.until(`document.querySelector("[data-picked]").textContent === "3 selected"`)
		if over := eval[int](p, `document.documentElement.scrollWidth - innerWidth`); over > 0 {
			t.Errorf("the list is %d pixels wider than %d", over, width)
		}
		p.accessible(fmt.Sprintf("people ticked at %d", width))
		p.click(`button[value="tag"]`)
		p.at("/subscribers/act")
		p.see("3 people")
		p.accessible(fmt.Sprintf("an act on many at %d", width))
		p.typeInto("#act-add", fmt.Sprint("w", width))
		p.do(`document.querySelector("#act-add").form.requestSubmit()`)
		p.see("3 people are tagged.")
		p.until(`location.search === "?columns=source%2CcompanyName%2Ctags&sort=company"`)
	}
	p.goTo("/subscribers?tag=w390&source=shop")
	p.until(rows + " === 2")
	p.do(`document.querySelector("[data-pick-all]").click()`)
	p.click(`button[value="erase"]`)
	p.at("/subscribers/act")
	p.see("2 people will be erased")
	p.typeInto("#act-typed", "2")
	p.do(`document.querySelector("#act-typed").form.requestSubmit()`)
	p.see("2 people are erased.")
	p.goTo("/subscribers")
	p.until(rows + " === 1")
}
