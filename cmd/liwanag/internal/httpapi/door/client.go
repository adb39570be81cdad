package door

import (
	"cmp"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// ClientOf is the address that a request comes from: the connection's, or, where
// that is a proxy on this machine or one that is trusted, the last one that
// X-Forwarded-For names and that is no such proxy.
func (d *Door) ClientOf(r *http.Request) netip.Addr {
	client := addressIn(r.RemoteAddr)
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, hop := range slices.Backward(hops) {
		named := addressIn(strings.TrimSpace(hop))
		if !d.proxy(client) || !named.IsValid() {
			break
		}
		client = named
	}
	return client
}

func (d *Door) proxy(addr netip.Addr) bool {
	return addr.IsLoopback() || slices.ContainsFunc(d.cfg.TrustedProxies, func(n netip.Prefix) bool { return n.Contains(addr) })
}

// addressIn reads an address with or without a port; the zero Addr: it is none.
func addressIn(text string) netip.Addr {
	if both, err := netip.ParseAddrPort(text); err == nil {
		return both.Addr().Unmap().WithZone("")
	}
	addr, _ := netip.ParseAddr(strings.Trim(text, "[]"))
	return addr.Unmap().WithZone("")
}

// networkOf is what counts as one client: of IPv6 the network, since one client has
// all addresses in it.
func networkOf(addr netip.Addr) netip.Addr {
	if addr.Is6() {
		if network, err := addr.Prefix(64); err == nil {
			return network.Addr()
		}
	}
	return addr
}

// forwarded names a header that a proxy has set; empty: the request came without.
func forwarded(h http.Header) string {
	var found string
	for name := range h {
		if name == "Forwarded" || name == "Via" || name == "X-Real-Ip" || strings.HasPrefix(name, "X-Forwarded-") {
			found = min(cmp.Or(found, name), name)
		}
	}
	return found
}
