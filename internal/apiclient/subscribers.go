package apiclient

import (
	"io"
	"sync/atomic"
)

// Failure says why a run failed.
type Failure struct {
	Step     string `json:"step,omitempty"`
	Reason   string `json:"reason,omitempty"`
	Code     string `json:"code,omitempty"`
	Message  string `json:"message,omitempty"`
	Attempts int    `json:"attempts,omitempty"`
}

// reader remembers its error, to tell it from the writer's.
type reader struct {
	r      io.Reader
	failed atomic.Pointer[error]
}

// fault is the error of reading, nil without one.
func (r *reader) fault() error {
	if err := r.failed.Load(); err != nil {
		return *err
	}
	return nil
}

func (r *reader) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	if err != nil && err != io.EOF {
		r.failed.Store(&err)
	}
	return n, err
}
