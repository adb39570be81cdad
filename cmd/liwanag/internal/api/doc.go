// Package api is what the product's HTTP interface says, beside runs, workflows
// and events, which workflow/runapi has: each route once, as a value that the
// server serves, the client calls and the description describes, and the types of
// what goes in and comes out. It imports nothing of the product.
package api
