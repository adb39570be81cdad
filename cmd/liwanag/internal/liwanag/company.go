package liwanag

import "time"

// Company is where people work, by its domain. What lookups found comes before what
// people said.
type Company struct {
	Domain      string
	Name        string
	LinkedinURL string
	Headcount   int64
	Industry    string
	People      int64
	Seniorities map[string]int64 // of those people whose seniority was found
	NewestAt    time.Time        // when the newest of them was added
}
