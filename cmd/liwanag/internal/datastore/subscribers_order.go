package datastore

import (
	"encoding/binary"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore/listing"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

const subscriberListing = 's'

// subscriberOrders are the orders of subscribers but that in which they were added:
// by an index on key, id of the rows in which the column is set.
var subscriberOrders = map[liwanag.SubscriberSort]struct {
	listing     byte
	column, key string
	value       func(liwanag.Subscriber) []byte // of key, nil without one
	read        func([]byte) any
}{
	liwanag.SortFound: {'f', "s.enriched_at", "s.enriched_at",
		func(s liwanag.Subscriber) []byte {
			if s.EnrichedAt.IsZero() {
				return nil
			}
			return numberKey(s.EnrichedAt.UnixMicro())
		}, readNumber},
	liwanag.SortHeadcount: {'h', "s.headcount", "s.headcount",
		func(s liwanag.Subscriber) []byte {
			if s.Summary.Headcount == 0 {
				return nil
			}
			return numberKey(s.Summary.Headcount)
		}, readNumber},
	liwanag.SortCompany: {'c', "s.company_name", "lower(s.company_name)",
		func(s liwanag.Subscriber) []byte {
			if s.Summary.CompanyName == "" {
				return nil
			}
			return []byte(lowerASCII(s.Summary.CompanyName))
		}, func(b []byte) any { return string(b) }},
}

// numberKey and numberOf write a number into a key and read it again, bit by bit.
func numberKey(n int64) []byte {
	return binary.BigEndian.AppendUint64(nil, uint64(n)) // #nosec G115 -- the bits come back as they went
}

func numberOf(key []byte) int64 {
	return int64(binary.BigEndian.Uint64(key)) // #nosec G115 -- the bits come back as they went
}

func readNumber(b []byte) any {
	if len(b) != 8 {
		return nil
	}
	return numberOf(b)
}

// phasesOf is how many walks a listing has: of those who have what it is sorted by, then
// of those who do not.
func phasesOf(f liwanag.SubscriberFilter) int {
	if subscriberOrders[f.Sort].column == "" {
		return 1
	}
	return 2
}

// place is where a page begins: behind a person. The zero place is the beginning.
type place struct {
	phase int
	value any // of the first phase of a listing that is sorted
	id    []byte
}

func placeOf(f liwanag.SubscriberFilter, s liwanag.Subscriber) place {
	at, by := place{id: s.ID.Bytes()}, subscriberOrders[f.Sort]
	if by.column == "" {
		return at
	}
	value := by.value(s)
	if value == nil {
		at.phase = 1
		return at
	}
	at.value = value
	return at
}

// listingOf tells orders and directions apart, so that none takes another's cursor.
func listingOf(f liwanag.SubscriberFilter) byte {
	code := byte(subscriberListing)
	if by := subscriberOrders[f.Sort]; by.column != "" {
		code = by.listing
	}
	if f.Ascending {
		code -= 'a' - 'A'
	}
	return code
}

func (p place) cursor(f liwanag.SubscriberFilter) string {
	value, _ := p.value.([]byte)
	return listing.Cursor(listingOf(f), append(p.id, value...))
}

func readPlace(f liwanag.SubscriberFilter, cursor string) (at place, err error) {
	key, err := listing.KeyFrom(listingOf(f), 16, cursor)
	if err != nil || key == nil {
		return place{}, err
	}
	at.id = key[:16]
	by, value := subscriberOrders[f.Sort], key[16:]
	switch {
	case len(value) == 0 && by.column != "":
		at.phase = 1
	case by.column != "":
		at.value = by.read(value)
	}
	if len(value) > 0 && at.value == nil {
		return place{}, liwanag.ErrInvalidCursor
	}
	return at, nil
}
