package console

import (
	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/workflow/runapi"
)

// mostPeople is how many people a card lists before it links to all of them.
const mostPeople = 10

// people are those of a run, an upload or a source.
type people struct {
	List runapi.List[api.Subscriber]
	All  string // address of the list of all of them
}

func peopleOf(v *visit, filter api.SubscriberFilter) (people, error) {
	list, err := api.ListSubscribers.Call(v.Context(), v.api,
		api.SubscriberQuery{SubscriberFilter: filter, Paging: runapi.Paging{Limit: mostPeople}})
	return people{list.List, address("/subscribers", runapi.Values(filter))}, err
}
