package temporalrunner

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	sdk "go.temporal.io/sdk/workflow"

	"github.com/liwanag/liwanag/workflow"
)

const (
	// attributesName is the memo that keeps a run's attributes with the server.
	attributesName = "liwanag-attributes"
	// SearchAttribute is the KeywordList by which the server finds runs by their
	// attributes, each as key=value, once it is registered in the namespace:
	//
	//	temporal operator search-attribute create --name LiwanagAttributes --type KeywordList
	SearchAttribute = "LiwanagAttributes"
)

var searchKey = temporal.NewSearchAttributeKeyKeywordList(SearchAttribute)

// index knows whether the namespace has the search attribute.
type index struct {
	client client.Client
	there  atomic.Bool
	asked  atomic.Int64 // when it was not there
}

// indexed says whether the server finds runs by their attributes. While it does not, it is
// asked again after a second.
func (i *index) indexed(ctx context.Context) bool {
	if i == nil { // of a definition without a server
		return false
	}
	if i.there.Load() {
		return true
	}
	if now := time.Now().UnixNano(); now-i.asked.Load() < int64(time.Second) {
		return false
	}
	// Every server answers this, and refuses what it does not index.
	_, err := i.client.CountWorkflow(ctx, &workflowservice.CountWorkflowExecutionsRequest{Query: SearchAttribute + " = 'a=b'"})
	if err == nil {
		i.there.Store(true)
		return true
	}
	i.asked.Store(time.Now().UnixNano())
	return false
}

// with gives an execution its attributes.
func (i *index) with(ctx context.Context, o *client.StartWorkflowOptions, a workflow.Attributes) {
	if len(a) == 0 {
		return
	}
	o.Memo[attributesName] = a
	if i.indexed(ctx) {
		o.TypedSearchAttributes = temporal.NewSearchAttributes(searchKey.ValueSet(texts(a)))
	}
}

// quotes are what not every server's index finds again.
var quotes = strings.NewReplacer("%", "%25", "'", "%27", `"`, "%22", `\`, "%5C")

// texts are attributes as key=value, in order, as the server's index has them.
func texts(a workflow.Attributes) (list []string) {
	for _, key := range a.Keys() {
		list = append(list, quotes.Replace(key+"="+a[key]))
	}
	return list
}

// set sets the attributes that an attempt has set; an error when there are too many.
func (x *interpreter) set(got outcome) error {
	if len(got.Attributes) == 0 {
		return nil
	}
	all, err := x.Run.Attributes.With(got.Attributes)
	if err != nil {
		return err
	}
	x.Run.Attributes = all
	if err := sdk.UpsertMemo(x.ctx, map[string]any{attributesName: all}); err != nil {
		return err
	}
	if !got.Indexed {
		return nil
	}
	return sdk.UpsertTypedSearchAttributes(x.ctx, searchKey.ValueSet(texts(all)))
}

// attributesOf are those of a run as the server knows it.
func attributesOf(info *workflowpb.WorkflowExecutionInfo) (a workflow.Attributes) {
	if memo, ok := info.GetMemo().GetFields()[attributesName]; ok {
		_ = converter.GetDefaultDataConverter().FromPayload(memo, &a) // it is of another's making: none
	}
	return a
}

// attributed is a query's part for attributes.
func (r *Runner) attributed(ctx context.Context, a workflow.Attributes) (parts []string, err error) {
	if len(a) > 0 && !r.index.indexed(ctx) {
		return nil, fmt.Errorf("%w: the Temporal namespace lacks the search attribute %s\n  Try: temporal operator search-attribute "+
			"create --name %s --type KeywordList", workflow.ErrNoAttributes, SearchAttribute, SearchAttribute)
	}
	for _, text := range texts(a) {
		parts = append(parts, SearchAttribute+" = "+quoted(text))
	}
	return parts, nil
}
