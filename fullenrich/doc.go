// Package fullenrich is a client for FullEnrich's API v2: bulk reverse e-mail
// lookups, their results, and the signature of their webhooks.
//
// A lookup costs money and FullEnrich offers no idempotency key, so the client
// is built around one question: did that POST reach anyone? [Client.Submit]
// makes exactly one attempt and answers with one of four facts, an [Outcome].
// It never replays a request, follows no redirect, and calls everything that
// is in doubt [OutcomeAmbiguous].
//
// Results are decoded leniently ([ParseResult]): FullEnrich promises no field,
// so nothing is required, unknown fields are ignored, a field of the wrong type
// counts as unknown, and a record that cannot be read fails alone.
//
// Webhooks are signed with the API key ([Verify]); read the raw body, verify
// it, store it, and parse it later.
//
// No error message, log value or formatted struct of this package contains the
// key, an e-mail address or a body.
package fullenrich
