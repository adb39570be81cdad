package api

// Problem is the body of every error, RFC 9457.
type Problem struct {
	Type   string       `json:"type" doc:"Always about:blank: the code tells problems apart."`
	Title  string       `json:"title" doc:"The status in words."`
	Status int          `json:"status" doc:"The HTTP status."`
	Detail string       `json:"detail" doc:"What happened and what to do, for a human."`
	Code   string       `json:"code" doc:"What happened, for a program; stable."`
	Errors []FieldFault `json:"errors,omitempty" doc:"The faults of single fields."`
}

// FieldFault is the fault of one field of a request.
type FieldFault struct {
	Field   string `json:"field"`
	Message string `json:"message"`
}
