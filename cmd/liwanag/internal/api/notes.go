package api

// Notes say what fields of runapi mean in this product, by the schema or the
// operation and the field.
var Notes = map[string]string{
	"list-runs.q": runQuery,
	"BulkAct.q":   runQuery,
	"BulkAct.expect": "How many were counted before: when more match by now nothing is done, 409 count_differs. " +
		"0: whatever matches, for a cancel; a retry may order lookups, and needs it.",
	"WaitingFor.reason":     "Why its jobs cannot be sent yet: budget, credits, key, capacity, calls, paused, unavailable.",
	"SendEventRequest.data": "Of enrichment-complete: {results: […]}, or {} to fetch now.",
}

const runQuery = "A run id, an enrichment id, or an e-mail address of its jobs."
