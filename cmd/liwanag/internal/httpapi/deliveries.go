package httpapi

import (
	"context"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/httpapi/door"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/workflow/runapi"
)

const (
	// fromFullEnrich is the source of deliveries that no source of sign-ups took in.
	fromFullEnrich = "fullenrich"
	// fullEnrichDelivery begins the id of one of those; its digest in hex follows.
	fullEnrichDelivery = "dlv_"
)

func (s *Server) registerDeliveries() {
	door.Serve(s.Door, api.ListDeliveries, s.listDeliveries)
	door.Serve(s.Door, api.GetDelivery, s.getDelivery)
	door.Serve(s.Door, api.ReplayDelivery, s.replayDelivery)
}

func viewDelivery(d liwanag.Delivery) api.Delivery {
	return api.Delivery{ID: fullEnrichDelivery + hex.EncodeToString(d.Digest[:]), Source: fromFullEnrich,
		State: string(d.State), Code: d.Note, Size: d.Size,
		SubmissionID: d.SubmissionID.String(), EnrichmentID: d.EnrichmentID, ReceivedAt: d.ReceivedAt.UTC(),
		Replayable: d.State == liwanag.DeliveryQuarantined || d.State == liwanag.DeliveryUnmatched}
}

// viewReceipt shows what a source received; of its kind only the source knows.
func viewReceipt(r liwanag.Receipt, kinds map[liwanag.ID]liwanag.SourceKind) api.Delivery {
	return api.Delivery{ID: r.ID.String(), Source: string(kinds[r.SourceID]), SourceID: r.SourceID.String(),
		State: string(r.State), Code: r.Code, Reason: r.Reason,
		Size: r.Size, ContentType: r.ContentType, Created: r.Created, Updated: r.Updated, Unsubscribed: r.Unsubscribed, Failed: r.Failed,
		Replayable: r.Kept, ReceivedAt: r.ReceivedAt.UTC(), ReplayedAt: utc(r.ReplayedAt), Body: strings.ToValidUTF8(string(r.Body), "\uFFFD")}
}

// sourceKinds are the kinds of all sources.
func (s *Server) sourceKinds(ctx context.Context) (map[liwanag.ID]liwanag.SourceKind, error) {
	rows, err := s.cfg.Sources.List(ctx)
	kinds := make(map[liwanag.ID]liwanag.SourceKind, len(rows))
	for _, row := range rows {
		kinds[row.ID] = row.Kind
	}
	return kinds, err
}

// receiptStates are those of what a source received.
var receiptStates = []string{string(liwanag.ReceiptAccepted), string(liwanag.ReceiptIgnored),
	string(liwanag.ReceiptRejected), string(liwanag.ReceiptRefused)}

func (s *Server) listDeliveries(ctx context.Context, in *api.DeliveryQuery) (runapi.List[api.Delivery], error) {
	if in.State != "" && slices.Contains(receiptStates, in.State) == (in.Source == fromFullEnrich) {
		return runapi.List[api.Delivery]{}, door.BadParameter("state", "deliveries from there are never "+in.State)
	}
	if in.Source == fromFullEnrich {
		var filter liwanag.DeliveryFilter
		if in.State != "" {
			filter.States = []liwanag.DeliveryState{liwanag.DeliveryState(in.State)}
		}
		rows, next, err := s.cfg.Store.Deliveries.List(ctx, filter, pageOf(in.Paging))
		return listOf(rows, next, viewDelivery), err
	}
	var filter liwanag.ReceiptFilter
	if in.State != "" {
		filter.States = []liwanag.ReceiptState{liwanag.ReceiptState(in.State)}
	}
	if in.Source != "" {
		id, err := liwanag.ParseID(liwanag.SourceIDKind, in.Source)
		if err != nil {
			return runapi.List[api.Delivery]{}, door.BadParameter("source", "an id of the form src_<uuid> is needed, or fullenrich")
		}
		filter.SourceID = id
	}
	kinds, err := s.sourceKinds(ctx)
	if err != nil {
		return runapi.List[api.Delivery]{}, err
	}
	rows, next, err := s.cfg.Store.Receipts.List(ctx, filter, pageOf(in.Paging))
	rows = slices.DeleteFunc(rows, func(r liwanag.Receipt) bool { return kinds[r.SourceID] == "" }) // they go with their source, bit by bit
	return listOf(rows, next, func(r liwanag.Receipt) api.Delivery { return viewReceipt(r, kinds) }), err
}

// digestOf reads the id of a delivery from FullEnrich.
func digestOf(text string) (digest liwanag.Digest, ok bool) {
	rest, ok := strings.CutPrefix(text, fullEnrichDelivery)
	raw, err := hex.DecodeString(rest)
	if !ok || err != nil || len(raw) != len(digest) || hex.EncodeToString(raw) != rest {
		return digest, false
	}
	return liwanag.Digest(raw), true
}

func (s *Server) getDelivery(ctx context.Context, in *runapi.IDPath) (api.Delivery, error) {
	if digest, ok := digestOf(in.ID); ok {
		row, err := s.cfg.Store.Deliveries.Get(ctx, digest)
		return viewDelivery(row), named(err, "delivery")
	}
	id, err := idOf(liwanag.ReceiptKind, in.ID, "delivery")
	if err != nil {
		return api.Delivery{}, err
	}
	row, err := s.cfg.Store.Receipts.Get(ctx, id)
	return s.receiptNow(ctx, row, err)
}

func (s *Server) receiptNow(ctx context.Context, row liwanag.Receipt, err error) (api.Delivery, error) {
	if err != nil {
		return api.Delivery{}, named(err, "delivery")
	}
	kinds, err := s.sourceKinds(ctx)
	if err == nil && kinds[row.SourceID] == "" {
		err = door.NotFound("delivery") // it goes with its source
	}
	return viewReceipt(row, kinds), err
}

func (s *Server) replayDelivery(ctx context.Context, in *runapi.IDPath) (api.Delivery, error) {
	if digest, ok := digestOf(in.ID); ok {
		if err := s.cfg.Enrichment.Redeliver(ctx, digest); err != nil {
			return api.Delivery{}, named(err, "delivery")
		}
		return s.getDelivery(ctx, in)
	}
	id, err := idOf(liwanag.ReceiptKind, in.ID, "delivery")
	if err != nil {
		return api.Delivery{}, err
	}
	row, err := s.cfg.Sources.Replay(ctx, id)
	row.Body = nil
	return s.receiptNow(ctx, row, err)
}
