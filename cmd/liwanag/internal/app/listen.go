package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"syscall"
	"time"
)

// UsageError is a fault of what the user asked for, as opposed to one of the
// work: the program ends with exit code 2.
type UsageError struct{ Err error }

// Error is the fault's own text.
func (e *UsageError) Error() string { return e.Err.Error() }

// Unwrap gives the fault.
func (e *UsageError) Unwrap() error { return e.Err }

// listen opens an address; try says what else the user may do when it is taken.
func listen(ctx context.Context, what, addr, try string) (net.Listener, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("%s: %s is in use by another program\n  Try: %s", what, addr, try)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	return l, nil
}

// newHTTPServer bounds what a slow or hostile client can hold on to. A body may
// take as long as an upload of many megabytes takes; handlers bound the rest.
func newHTTPServer(h http.Handler) *http.Server {
	return &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10}
}
