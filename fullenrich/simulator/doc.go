// Package simulator pretends to be FullEnrich: the same HTTP interface, the
// same pace, queue, limits, prices and webhooks, and every way in which such a
// partner can go wrong. It keeps a ledger of what was accepted and paid, which
// is the oracle of "never lost, never paid twice".
//
// A [Server] is an http.Handler: serve it on a socket, or reach it through
// [InMemory] inside a testing/synctest bubble, where 24 hours pass in
// milliseconds. With [Config.Dir] a killed simulator goes on where it was.
// It shares no code with the client, so that neither repeats the other's mistakes.
//
// # The provider's interface
//
// Under /api/v2, with Authorization: Bearer and the key: POST and GET
// /contact/reverse/email/bulk, POST and GET /contact/enrich/bulk, GET
// /account/keys/verify, GET /account/credits.
//
//   - 60 calls a calendar minute over all routes; calls with an unknown key are
//     answered 401 and do not count.
//   - At most 100 rows a request, 10 custom keys, 100 characters a value.
//   - 100 contacts are looked up at a time, 30 to 90 s each, first come, first
//     served; contact enrichments have a queue of their own.
//   - A found person costs a credit when found (an enrichment: work e-mail 1,
//     personal 3, phone 10). Without credits the enrichment ends as
//     CREDITS_INSUFFICIENT and GET answers 402 with what was found.
//   - Each contact is reported to webhook_events.contact_finished, then the
//     batch to webhook_url; X-Signature-SHA1 is HMAC-SHA1 of the body with the
//     key of the moment. An answer that is not 2xx, or none in 10 s, is
//     followed by five more attempts, a minute apart.
//   - 90 days after its end a result is gone (404).
//   - data is in the order of completion, which is not that of the request.
//
// [Config.Speed] divides all of these durations.
//
// # Outcomes by address
//
// Marks in the local part decide; other addresses are found or not by the seed
// (60 % found), always alike. Names come from the local part where it has any.
//
//	+found       a person
//	+notfound    nobody; profile absent, null or {} as Config.NotFoundShape says
//	+null        nobody, profile null
//	+empty       nobody, profile {}
//	+slow        takes 15 minutes (outcome by another mark or the seed)
//	+baddate     a person with malformed dates
//	+huge        a person of about half a megabyte
//	+hostile     a person of scripts, formulas, control characters and broken Unicode
//
// # Control plane
//
// Under /_sim, without a key, for loopback only; [Control] is its client.
//
//	GET    /_sim/ledger             Ledger
//	GET    /_sim/state              State
//	POST   /_sim/faults             Fault -> {"id"}
//	DELETE /_sim/faults[?id=]       all, or one
//	POST   /_sim/balance            {"balance": 12}
//	POST   /_sim/rotate             {"new": "key", "old": "key, default the first"}
//	POST   /_sim/webhooks/resend    {"enrichmentId"}
//
// # Fault controls
//
// A [Fault] says what it matches (nth call, part of name or e-mail,
// probability, count, duration) and what it does. [Ledger.Fired] counts the
// effects, not the choices: a run in which a fault never fired proves nothing
// about it.
//
// Any call, before its body is read (match: nth, method, probability, count, for):
//
//	storm-429                429 to every call (status, code, retryAfter)
//	storm-401                401 to every call
//	slow-drip                the answer's body, a byte a real second (delay: per byte)
//	reset-before-reading     POST: connection reset, nothing read, nothing accepted
//
// POST that would be accepted; the first that fires wins:
//
//	refuse                   status (500), code, message, retryAfter; bare: without the envelope
//	refuse-5xx               not accepted, status (500), without the envelope unless code is set
//	reset-without-accepting  read, then connection reset
//	hang-without-accepting   read, then silence (delay: real time, then reset)
//	accept-then-reset        accepted, then connection reset
//	accept-then-502          accepted, then status (502), without the envelope unless code is set
//	accept-then-hang         accepted, then silence (delay: real time, then reset)
//	answer-truncated         accepted, 200, connection ends in the middle of the body
//	answer-non-json          accepted, 200 with a page of HTML
//	answer-without-id        accepted, 200 with {}
//
// Fate of an accepted enrichment, its webhooks:
//
//	webhook-before-answer    done at once, batch webhook tried before the POST is answered
//	webhook-never            no batch webhook
//	webhook-late             batch webhook delay later
//	webhook-duplicate        times (1) more batch webhooks
//	webhook-reorder          batch webhook after that of a later submission (at most delay, 10 min)
//	contact-never            no contact webhooks
//	contact-after-batch      contact webhooks after the batch webhook
//	signature-wrong          signed with a key nobody has
//	signature-missing        not signed
//	signature-previous-key   signed with the previous key (there must be one)
//	token-wrong              longest segment of the path replaced by value (zeros)
//
// Fate of an accepted enrichment, its result (where: "webhook" or "get" alone;
// email: these records alone):
//
//	shape-v1                 the body in the shape of v1
//	rows-missing             times (1) records left out
//	rows-extra               times (1) records of somebody else's job
//	record-bad               profile of the wrong types (value "anonymous": input and custom too)
//	body-huge                body of size (20 MiB)
//	gzip-bomb                Content-Encoding gzip, inflates to size (64 MiB)
//	profile-hostile          as +hostile
//	profile-huge             as +huge
//	profile-bad-dates        as +baddate
//	status-unknown           status value (PAUSED) with a webhook, FINISHED delay (10 min) later; negative: never
//	status-rate-limit        status RATE_LIMIT without a webhook, FINISHED delay (10 min) later; negative: never
//	status-canceled          CANCELED when half of the rows are done
//	credits-insufficient     CREDITS_INSUFFICIENT when half of the rows are done
//
// GET of a known enrichment; the first that fires wins:
//
//	get-404                  404 (status, code, message)
//	get-402                  402 with the result so far, CREDITS_INSUFFICIENT
//	get-5xx                  status (503), without the envelope unless code is set
//	get-reset                connection reset
//	get-hang                 silence (delay: real time, then reset)
//	get-truncated            connection ends in the middle of the body
//
// Outside of the server: [UnresolvableURL] as base URL is the DNS failure,
// [ListenUntrustedTLS] the TLS error; a refused connection is a server that was closed.
package simulator
