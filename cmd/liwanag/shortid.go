package main

import (
	"fmt"
	"reflect"
	"regexp"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/apiclient"
	"github.com/liwanag/liwanag/workflow/runapi"
)

var (
	wholeID = regexp.MustCompile(`^([a-z]{3}_)[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{4}([0-9a-f]{8})$`)
	shortID = regexp.MustCompile(`^(?:[a-z]{3}_)?(?:…|\.\.\.)?([0-9a-f]{8})$`)
)

// brief is an id as a table on a terminal shows it: what tells it from others are its
// last digits.
func brief(cell string) string { return wholeID.ReplaceAllString(cell, "$1…$2") }

// lookBack is how many of the newest things of a kind a short id is looked for in.
const lookBack = 5000

// things list the ids of a kind, the newest first, page by page.
var things = map[string]func(*program, *apiclient.Client, runapi.Paging) (ids []string, next string, err error){
	"run": idsBy(func(p *program, c *apiclient.Client, page runapi.Paging) (runapi.List[runapi.Run], error) {
		return runapi.ListRuns.Call(p.ctx, c, runapi.RunQuery{Paging: page})
	}, func(r runapi.Run) string { return r.ID }),
	"subscriber": idsBy(func(p *program, c *apiclient.Client, page runapi.Paging) (runapi.List[api.Subscriber], error) {
		found, err := api.ListSubscribers.Call(p.ctx, c, api.SubscriberQuery{Paging: page})
		return found.List, err
	}, func(s api.Subscriber) string { return s.ID }),
	"submission": idsBy(func(p *program, c *apiclient.Client, page runapi.Paging) (runapi.List[api.Submission], error) {
		return api.ListSubmissions.Call(p.ctx, c, api.SubmissionQuery{Paging: page})
	}, func(s api.Submission) string { return s.ID }),
	"upload": idsBy(func(p *program, c *apiclient.Client, page runapi.Paging) (runapi.List[api.Upload], error) {
		return api.ListUploads.Call(p.ctx, c, api.UploadQuery{Paging: page})
	}, func(u api.Upload) string { return u.ID }),
	"delivery": idsBy(func(p *program, c *apiclient.Client, page runapi.Paging) (runapi.List[api.Delivery], error) {
		return api.ListDeliveries.Call(p.ctx, c, api.DeliveryQuery{Paging: page})
	}, func(d api.Delivery) string { return d.ID }),
	"message": idsBy(func(p *program, c *apiclient.Client, page runapi.Paging) (runapi.List[api.Message], error) {
		return api.ListMessages.Call(p.ctx, c, api.MessageQuery{Paging: page})
	}, func(m api.Message) string { return m.ID }),
	"source": idsBy(func(p *program, c *apiclient.Client, _ runapi.Paging) (runapi.List[api.Source], error) {
		return api.ListSources.Call(p.ctx, c, runapi.NoInput{})
	}, func(s api.Source) string { return s.ID }),
	"sink": idsBy(func(p *program, c *apiclient.Client, _ runapi.Paging) (runapi.List[api.Sink], error) {
		return api.ListSinks.Call(p.ctx, c, runapi.NoInput{})
	}, func(s api.Sink) string { return s.ID }),
	"key": idsBy(func(p *program, c *apiclient.Client, _ runapi.Paging) (runapi.List[api.APIKey], error) {
		return api.ListKeys.Call(p.ctx, c, runapi.NoInput{})
	}, func(k api.APIKey) string { return k.ID }),
}

func idsBy[T any](fetch func(*program, *apiclient.Client, runapi.Paging) (runapi.List[T], error),
	id func(T) string) func(*program, *apiclient.Client, runapi.Paging) ([]string, string, error) {
	return func(p *program, c *apiclient.Client, page runapi.Paging) ([]string, string, error) {
		got, err := fetch(p, c, page)
		ids := make([]string, len(got.Items))
		for i, item := range got.Items {
			ids[i] = id(item)
		}
		return ids, got.NextCursor, err
	}
}

// resolveIDs replaces the short ids of a command, whose fields say with the tag id what
// they name.
func (p *program) resolveIDs(command *kong.Context) error {
	node := command.Selected()
	if node == nil || !node.Target.CanAddr() {
		return nil
	}
	to, ok := node.Target.Addr().Interface().(interface {
		dial() (*apiclient.Client, error)
	})
	if !ok {
		return nil
	}
	values := node.Positional
	for _, flag := range node.Flags {
		values = append(values, flag.Value)
	}
	for _, v := range values {
		if kind := v.Tag.Get("id"); kind != "" {
			if err := p.resolve(to.dial, kind, v.Target); err != nil {
				return err
			}
		}
	}
	return nil
}

func (p *program) resolve(dial func() (*apiclient.Client, error), kind string, v reflect.Value) error {
	if v.Kind() == reflect.Slice {
		for i := range v.Len() {
			if err := p.resolve(dial, kind, v.Index(i)); err != nil {
				return err
			}
		}
		return nil
	}
	short := shortID.FindStringSubmatch(v.String())
	if v.Kind() != reflect.String || short == nil {
		return nil
	}
	client, err := dial()
	if err != nil {
		return err
	}
	found, err := p.endingIn(client, kind, short[1])
	if err != nil {
		return err
	}
	whole, err := onlyOne(kind, short[1], found)
	if err == nil {
		v.SetString(whole)
	}
	return err
}

// endingIn are the ids of a kind, of the newest, that end in some digits.
func (p *program) endingIn(client *apiclient.Client, kind, digits string) (found []string, err error) {
	page := runapi.Paging{Limit: 500}
	for seen := 0; seen < lookBack; {
		ids, next, err := things[kind](p, client, page)
		if err != nil {
			return nil, err
		}
		for _, id := range ids {
			if strings.HasSuffix(id, digits) {
				found = append(found, id)
			}
		}
		seen += len(ids)
		if page.Cursor = next; next == "" {
			break
		}
	}
	return found, nil
}

// onlyOne is the one id that was found.
func onlyOne(kind, short string, found []string) (string, error) {
	switch len(found) {
	case 0:
		return "", &notFound{fmt.Sprintf("no %s of the newest %d ends in %s\n  Try: its whole id, which -o json shows", kind, lookBack, short)}
	case 1:
		return found[0], nil
	}
	return "", usage(found[0], "several %ss end in %s:\n  %s", kind, short, strings.Join(found, "\n  "))
}
