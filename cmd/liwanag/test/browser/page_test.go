package browser

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	cdppage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/liwanag/liwanag/cmd/liwanag/test/process"
)

var update = flag.Bool("update", false, "take the pictures of the documents again")

// chromium is the one browser of the package; each test has a context of its own in it.
var chromium context.Context

func TestMain(m *testing.M) {
	os.Exit(process.Main(func() int {
		end, err := startChromium()
		if err != nil {
			fmt.Fprintf(os.Stderr, "%v\n  Try: make deps, which installs Chromium\n", err)
			return 1
		}
		defer end()
		return m.Run()
	}))
}

func startChromium() (end func(), err error) {
	program, err := exec.LookPath("chromium")
	if err != nil {
		return nil, errors.New("there is no Chromium on this machine")
	}
	allocator, free := chromedp.NewExecAllocator(context.Background(),
		append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(program), chromedp.NoSandbox,
			chromedp.Flag("hide-scrollbars", true), chromedp.Flag("force-color-profile", "srgb"), chromedp.Flag("lang", "en-US"))...)
	ctx, stop := chromedp.NewContext(allocator)
	chromium = ctx
	return func() { stop(); free() }, chromedp.Do(chromium)
}

// patience is how long a test waits for something to be there.
const patience = 90 * time.Second

// page is a tab of a browser that nobody else uses.
type page struct {
	t    *testing.T
	w    *world
	ctx  context.Context
	mu   sync.Mutex
	said []string // what the browser complained of
	may  []string // what it may complain of
}

// open opens a tab; what the browser complains of fails the test.
func (w *world) open() *page {
	w.t.Helper()
	ctx, cancel := chromedp.NewContext(chromium, chromedp.WithNewBrowserContext())
	w.t.Cleanup(cancel)
	p := &page{t: w.t, w: w, ctx: ctx}
	w.must(chromedp.Listen(ctx, p.hear))
	p.run(chromedp.EmulateViewport(1280, 900), scheme("light"))
	w.t.Cleanup(p.quiet)
	return p
}

// hear notes complaints.
func (p *page) hear(event any) {
	text := ""
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		raw, _ := json.Marshal(e.ExceptionDetails) // it came as JSON
		text = "an exception: " + string(raw)
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeWarning {
			raw, _ := json.Marshal(e.Args) // it came as JSON
			text = "the console: " + string(raw)
		}
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError || e.Entry.Level == log.EntryLevelWarning {
			text = "the log: " + e.Entry.Text + " " + e.Entry.URL
		}
	case *network.EventLoadingFailed:
		if e.ErrorText != "net::ERR_ABORTED" {
			text = "a file that does not load: " + e.ErrorText
		}
	case *cdppage.EventJavascriptDialogOpening:
		text = "a dialog of a script: " + e.Message
		go func() {
			_, _ = chromedp.Call(p.ctx, cdppage.HandleJavaScriptDialog, cdppage.HandleJavaScriptDialogParams{Accept: true}) // it failed already
		}()
	}
	if text != "" {
		p.mu.Lock()
		p.said = append(p.said, text)
		p.mu.Unlock()
	}
}

// quiet fails the test for what was complained of so far.
func (p *page) quiet() {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
next:
	for _, text := range p.said {
		for _, may := range p.may {
			if strings.Contains(text, may) {
				continue next
			}
		}
		p.t.Errorf("the browser complains of %s", text)
	}
	p.said = nil
}

// run does it again where the page was drawn anew between the look for an element and what
// is done with it.
func (p *page) run(actions ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	err := chromedp.Do(ctx, actions...)
	for err != nil && strings.Contains(err.Error(), "Could not find node") && ctx.Err() == nil {
		err = chromedp.Do(ctx, actions...)
	}
	if err != nil {
		p.give(err)
	}
}

// give ends the test, and tells what was on the page.
func (p *page) give(err error) {
	p.t.Helper()
	where, _ := chromedp.Run(p.ctx, chromedp.Location())
	text, _ := chromedp.Run(p.ctx, chromedp.Evaluate[string](`document.body.innerText.slice(0, 1500)`))
	p.t.Fatalf("%v\nat %s:\n%s", err, where, text)
}

func (p *page) goTo(path string) {
	p.t.Helper()
	p.run(chromedp.Navigate(p.w.url+path), chromedp.WaitReady(chromedp.CSS("main")))
	p.until(`document.readyState === "complete"`) // its scripts listen
}

func (p *page) click(selector string) {
	p.t.Helper()
	p.run(chromedp.Click(chromedp.CSS(selector), chromedp.NodeVisible))
}

// answer opens a dialog by its button, types, and presses what it asks for.
func (p *page) answer(dialog string, typed ...string) {
	p.t.Helper()
	p.click(`button[popovertarget="` + dialog + `"]:not([popovertargetaction])`)
	for i := 0; i+1 < len(typed); i += 2 {
		p.typeInto("#"+dialog+" "+typed[i], typed[i+1])
	}
	p.click("#" + dialog + " .actions button:not([type=button])")
}

func (p *page) typeInto(selector, text string) {
	p.t.Helper()
	p.run(chromedp.WaitVisible(chromedp.CSS(selector)))
	quoted, _ := json.Marshal(selector) // a text: it can be encoded
	p.do(fmt.Sprintf(`document.querySelector(%s).value = ""`, quoted))
	p.run(chromedp.SendKeys(chromedp.CSS(selector), text))
}

// keys presses keys one after the other, wherever the focus is.
func (p *page) keys(all ...string) {
	p.t.Helper()
	for _, key := range all {
		p.run(chromedp.KeyEvent(key))
	}
}

// lead presses two keys until they have led to the page of an address: on a busy machine
// they may come further apart than belongs together.
func (p *page) lead(path string, keys ...string) {
	p.t.Helper()
	quoted, _ := json.Marshal(path) // a text: it can be encoded
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		p.keys(keys...)
		for range 20 {
			there, err := chromedp.Run(p.ctx, chromedp.Evaluate[bool](fmt.Sprintf(`location.pathname.startsWith(%s)`, quoted)))
			if err == nil && there {
				p.at(path)
				return
			}
			time.Sleep(100 * time.Millisecond)
		}
	}
	p.give(fmt.Errorf("%v never led to %s", keys, path))
}

// until waits until an expression of the page is true, whatever page it is by
// then.
func (p *page) until(expression string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	for {
		if so, err := chromedp.Run(ctx, chromedp.Evaluate[bool](expression)); err == nil && so {
			return
		}
		select {
		case <-ctx.Done():
			p.give(fmt.Errorf("it never came true that %s", expression))
		case <-time.After(30 * time.Millisecond):
		}
	}
}

// see waits until a text is on the page.
func (p *page) see(text string) {
	p.t.Helper()
	quoted, _ := json.Marshal(strings.ToLower(text)) // a text: it can be encoded
	p.until(fmt.Sprintf(`!!document.body && document.body.innerText.toLowerCase().includes(%s)`, quoted))
}

// at waits until the page of an address is there.
func (p *page) at(path string) {
	p.t.Helper()
	quoted, _ := json.Marshal(path) // a text: it can be encoded
	p.until(fmt.Sprintf(`location.pathname.startsWith(%s) && document.readyState === "complete"`, quoted))
}

func eval[T any](p *page, expression string) T {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		p.give(fmt.Errorf("%s: %w", expression[:min(len(expression), 200)], err))
	}
	return v
}

// do evaluates an expression for what it does.
func (p *page) do(expression string) {
	p.t.Helper()
	eval[chromedp.Void](p, expression)
}

func scheme(name string) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
			{Name: "prefers-color-scheme", Value: name}, {Name: "prefers-reduced-motion", Value: "reduce"}}})
		return err
	})
}

//go:embed testdata/axe.min.js
var axe string

//go:embed testdata/axe.json
var axeManifest []byte

func TestTheCheckerIsTheOneOfItsManifest(t *testing.T) {
	var m struct {
		Sha256 string `json:"sha256"`
	}
	if err := json.Unmarshal(axeManifest, &m); err != nil {
		t.Fatal(err)
	}
	if sum := sha256.Sum256([]byte(axe)); hex.EncodeToString(sum[:]) != m.Sha256 {
		t.Error("testdata/axe.min.js is not what testdata/axe.json says")
	}
}

// accessible checks the page against WCAG 2.2 at level AA, as far as a program can.
func (p *page) accessible(what string) {
	p.t.Helper()
	if !eval[bool](p, `!!window.axe`) {
		p.do(axe)
	}
	violations := eval[[]string](p, `axe.run(document, {resultTypes: ["violations"], runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}).then((r) =>
		r.violations.map((v) => v.id + ": " + v.help + " — " + v.nodes.slice(0, 3).map((n) => n.html.slice(0, 200) + " " + (n.any[0]?.message ?? "")).join(" | ")))`)
	for _, v := range violations {
		p.t.Errorf("%s: %s", what, v)
	}
}

// picture takes a picture for the documents, when asked to.
func (p *page) picture(name string) {
	p.t.Helper()
	if !*update {
		return
	}
	png, err := chromedp.Run(p.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		p.t.Fatal(err)
	}
	file := filepath.Join("..", "..", "..", "..", "docs", "images", name+".png")
	if err := os.MkdirAll(filepath.Dir(file), 0o750); err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(file, png, 0o600); err != nil {
		p.t.Fatal(err)
	}
}
