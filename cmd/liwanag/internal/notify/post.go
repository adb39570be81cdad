package notify

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"syscall"
	"time"

	"code.dny.dev/ssrf"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

const (
	// postWithin bounds one call, from the connection to the end of the answer.
	postWithin = 15 * time.Second
	// maxAnswer is how much of an answer is read, and thrown away, bytes: enough
	// to use the connection again.
	maxAnswer = 64 << 10

	secretPrefix = "whsec_"
)

// errForbidden: the sink's address is one that we do not call.
var errForbidden = errors.New("the address is inside of our own networks, or its port is not one for webhooks")

// newDialer connects to public addresses and those of allow only, as they are when
// the connection is made, whatever a name said before.
func newDialer(allow []netip.Prefix) *net.Dialer {
	guard := ssrf.New(ssrf.WithPorts(80, 443, 8080, 8443))
	return &net.Dialer{Timeout: 5 * time.Second, Control: func(network, address string, c syscall.RawConn) error {
		if at, err := netip.ParseAddrPort(address); err == nil && allowed(allow, at.Addr()) {
			return nil
		}
		if guard.Safe(network, address, c) != nil {
			return errForbidden
		}
		return nil
	}}
}

// newClient calls sinks: no redirects, no proxy.
func newClient(dialer *net.Dialer) *http.Client {
	return &http.Client{
		Timeout: postWithin,
		Transport: &http.Transport{
			DialContext: dialer.DialContext, TLSHandshakeTimeout: 5 * time.Second, MaxIdleConnsPerHost: 8, IdleConnTimeout: time.Minute,
			DisableCompression: true, MaxResponseHeaderBytes: 64 << 10, ForceAttemptHTTP2: true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

func allowed(allow []netip.Prefix, addr netip.Addr) bool {
	addr = addr.Unmap().WithZone("")
	for _, network := range allow {
		if network.Contains(addr) {
			return true
		}
	}
	return false
}

// outcome is how one call ended.
type outcome struct {
	status     int    // HTTP, 0 without an answer
	fault      string // for people; empty: the sink took it
	retryAfter time.Duration
}

// post sends one body to a sink. It never fails: what happened is the outcome.
func (s *Sender) post(ctx context.Context, sink liwanag.Sink, messageID string, body []byte) outcome {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, sink.URL, bytes.NewReader(body))
	if err != nil {
		return outcome{fault: "the sink's URL is none"}
	}
	at := s.cfg.Now()
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "Liwanag/"+s.cfg.Version)
	req.Header.Set("webhook-id", messageID)
	req.Header.Set("webhook-timestamp", strconv.FormatInt(at.Unix(), 10))
	req.Header.Set("webhook-signature", signatures(sink.Secrets, messageID, at, body))
	res, err := s.client.Do(req)
	if err != nil {
		return outcome{fault: faultOf(err)}
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, maxAnswer)) // what it says is not asked for
	out := outcome{status: res.StatusCode}
	if res.StatusCode >= 200 && res.StatusCode <= 299 {
		return out
	}
	out.fault = strings.TrimSpace(fmt.Sprintf("HTTP %d %s", res.StatusCode, http.StatusText(res.StatusCode)))
	out.retryAfter = retryAfter(res.Header.Get("Retry-After"), at)
	return out
}

// retryAfter reads how long a sink asks us to wait, in seconds or until a time; 0:
// it does not.
func retryAfter(asked string, now time.Time) time.Duration {
	if seconds, err := strconv.Atoi(asked); err == nil {
		return max(0, time.Duration(min(seconds, int(maxRetryAfter/time.Second)))*time.Second)
	}
	if until, err := http.ParseTime(asked); err == nil {
		return max(0, min(until.Sub(now), maxRetryAfter))
	}
	return 0
}

// maxRetryAfter bounds what a sink may ask us to wait.
const maxRetryAfter = 12 * time.Hour

// faultOf says in a few words why there was no answer; addresses stay out.
func faultOf(err error) string {
	var dns *net.DNSError
	switch {
	case errors.Is(err, errForbidden):
		return errForbidden.Error()
	case errors.Is(err, context.DeadlineExceeded), isTimeout(err):
		return "no answer in time"
	case errors.As(err, &dns):
		return "its name cannot be resolved"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "the connection was refused"
	case strings.Contains(err.Error(), "tls:") || strings.Contains(err.Error(), "x509:"):
		return "its certificate or TLS cannot be used"
	}
	return "the connection failed"
}

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}

// signatures are those of all secrets, so that a receiver may know either one
// while they are rotated.
func signatures(secrets []string, id string, at time.Time, body []byte) string {
	var all []string
	for _, secret := range secrets {
		key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, secretPrefix))
		if err != nil {
			continue // none of ours
		}
		mac := hmac.New(sha256.New, key)
		fmt.Fprintf(mac, "%s.%d.%s", id, at.Unix(), body)
		all = append(all, "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	}
	return strings.Join(all, " ")
}

// newSecret makes a secret of 256 bits.
func newSecret() string {
	var key [32]byte
	_, _ = rand.Read(key[:]) // never fails: the runtime stops the program instead
	return secretPrefix + base64.StdEncoding.EncodeToString(key[:])
}
