package api

import "github.com/liwanag/liwanag/workflow/runapi"

// RunDoctor examines the server and what is around it. With deep set it may take minutes.
var RunDoctor = runapi.Slow(runapi.Get[DoctorRequest, Diagnosis]("/doctor",
	"run-doctor", "What is wrong with the server and around it, with what to do").Scoped(admin))

// DoctorRequest says what else is examined.
type DoctorRequest struct {
	Webhook bool `query:"webhook" doc:"Send a signed webhook through the public URL."`
	Deep    bool `query:"deep" doc:"Check the integrity of the whole database."`
}

// Diagnosis is what was found.
type Diagnosis struct {
	OK       bool      `json:"ok" doc:"Nothing is wrong; there may be warnings."`
	Version  string    `json:"version"`
	Findings []Finding `json:"findings"`
}

// Finding is what one look found.
type Finding struct {
	Check   string `json:"check" doc:"What was looked at, such as database."`
	State   string `json:"state" enum:"ok,warning,wrong,skipped"`
	What    string `json:"what" doc:"For people."`
	Do      string `json:"do,omitempty" doc:"What to do about it."`
	Command string `json:"command,omitempty" doc:"For a shell; what is written as … is to be filled in."`
}
