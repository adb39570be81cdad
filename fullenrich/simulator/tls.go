package simulator

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"time"
)

// UnresolvableURL is a base URL whose host never resolves (RFC 6761 reserves
// .invalid): the DNS failure.
const UnresolvableURL = "https://fullenrich.invalid" + v2

// UntrustedTLS serves a handler on a loopback port with a certificate that
// nobody trusts: the TLS error.
type UntrustedTLS struct {
	URL    string // without /api/v2
	server *http.Server
}

// ListenUntrustedTLS starts one; Close ends it.
func ListenUntrustedTLS(h http.Handler) (*UntrustedTLS, error) {
	certificate, err := selfSigned()
	if err != nil {
		return nil, fmt.Errorf("simulator: certificate: %w", err)
	}
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{certificate}})
	if err != nil {
		return nil, fmt.Errorf("simulator: listen: %w", err)
	}
	u := &UntrustedTLS{
		URL:    "https://" + listener.Addr().String(),
		server: &http.Server{Handler: h, ErrorLog: log.New(io.Discard, "", 0), ReadHeaderTimeout: 10 * time.Second},
	}
	go u.server.Serve(listener) // ends with Close
	return u, nil
}

// Close stops listening.
func (u *UntrustedTLS) Close() error {
	if err := u.server.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("simulator: close: %w", err)
	}
	return nil
}

func selfSigned() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "fullenrich simulator"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}
