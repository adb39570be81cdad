// Package paid is the paid call as tables: what an answer means (Answers), what a
// submission may become and what goes along with that (Moves), and what becomes of
// one that stays in doubt (Judge). It decides and writes in the transaction that it
// is given; it asks no clock and calls nobody. Who is told, woken or asked next is
// the story's business, in internal/enrichment.
package paid
