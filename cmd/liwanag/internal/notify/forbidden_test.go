package notify

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

// forbidden are addresses inside of somebody's network, in the spellings that an
// address parser of some kind takes. Those that Go takes for names are answered by
// the resolver of the test, as a resolver under a stranger's control may answer.
var forbidden = []string{
	// loopback
	"127.0.0.1", "127.1.2.3", "127.255.255.254", "[::1]", "[0:0:0:0:0:0:0:1]", "localhost", "LOCALHOST", "localhost.", "inside.example",
	"0x7f000001", "0x7f.0x0.0x0.0x1", "0X7F000001",
	// unspecified and "this network"
	"0.0.0.0", "0.1.2.3", "[::]",
	// private, CGNAT, link-local, metadata
	"10.0.0.1", "10.255.255.255", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1", "100.127.255.255",
	"169.254.1.1", "169.254.169.254", "[fd00:ec2::254]", "[fc00::1]", "[fe80::1]", "100.100.100.200", "192.0.0.192",
	// v4 inside of v6
	"[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::ffff:10.0.0.1]", "[::ffff:169.254.169.254]", "[::127.0.0.1]", "[::ffff:0:127.0.0.1]",
	"[2002:7f00:1::]", "[2002:a9fe:a9fe::1]", "[64:ff9b::7f00:1]", "[64:ff9b::a9fe:a9fe]", "[64:ff9b:1::7f00:1]", "[2001::7f00:1]",
	// nobody's: multicast, broadcast, documentation, benchmarks, reserved
	"224.0.0.1", "255.255.255.255", "240.0.0.1", "192.0.2.1", "198.51.100.1", "203.0.113.1", "198.18.0.1", "[ff02::1]", "[2001:db8::1]",
}

// neither are spellings that are neither an address to Go nor a name.
var neither = []string{"127.1", "127.0.1", "2130706433", "0177.0.0.1", "017700000001", "127.0.0.1.", "0",
	"127.0.0.1%00", "[::1%25lo]", "１２７.０.０.１"}

func TestNoSpellingOfAnInnerAddressIsCalled(t *testing.T) {
	if len(forbidden) < 40 {
		t.Fatalf("only %d spellings", len(forbidden))
	}
	dialer := newDialer(nil)
	names := &names{addrs: func(int) netip.Addr { return netip.MustParseAddr("127.0.0.1") }}
	dialer.Resolver = names.resolver()
	s := &Sender{cfg: Config{}.withDefaults(), dialer: dialer, client: newClient(dialer)}
	for _, host := range forbidden {
		for _, address := range []string{"https://" + host + "/hook", "http://" + host + ":8080/hook"} {
			got := s.post(t.Context(), liwanag.Sink{URL: address}, "msg_1", nil)
			if got.status != 0 || got.fault != errForbidden.Error() {
				t.Errorf("%s: %+v", address, got)
			}
		}
	}
	for _, host := range neither {
		if got := s.post(t.Context(), liwanag.Sink{URL: "http://" + host + ":8080/hook"}, "msg_1", nil); got.status != 0 || got.fault == "" {
			t.Errorf("%s: %+v", host, got)
		}
	}
	if names.asked.Load() == 0 {
		t.Error("no name was resolved: the spellings that are names proved nothing")
	}
}

// What a name says may change between a look and a call, so the address of the
// connection itself counts.
func TestAResolverThatChangesItsAnswerReachesNothingInside(t *testing.T) {
	for name, allow := range map[string][]netip.Prefix{"guarded": nil, "allowed": {netip.MustParsePrefix("127.0.0.0/8")}} {
		t.Run(name, func(t *testing.T) {
			var calls atomic.Int64
			inside := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { calls.Add(1) }))
			defer inside.Close()
			port := inside.Listener.Addr().(*net.TCPAddr).AddrPort().Port()
			dialer := newDialer(allow)
			names := &names{addrs: func(n int) netip.Addr {
				if n == 1 {
					return netip.MustParseAddr("93.184.216.34")
				}
				return netip.MustParseAddr("127.0.0.1")
			}}
			dialer.Resolver = names.resolver()
			first, err := dialer.Resolver.LookupNetIP(t.Context(), "ip4", "rebinding.example")
			if err != nil || len(first) != 1 || dialer.Control("tcp4", netip.AddrPortFrom(first[0], 443).String(), nil) != nil {
				t.Fatalf("the first answer %v, %v is to be a public address", first, err)
			}
			s := &Sender{cfg: Config{}.withDefaults(), dialer: dialer, client: newClient(dialer)}
			got := s.post(t.Context(), liwanag.Sink{URL: "http://rebinding.example:" + itoa(port)}, "msg_1", nil)
			if allow == nil && (got.fault != errForbidden.Error() || calls.Load() != 0) {
				t.Errorf("%+v, %d calls inside", got, calls.Load())
			}
			if allow != nil && (got.fault != "" || calls.Load() != 1) {
				t.Errorf("with the network allowed: %+v, %d calls", got, calls.Load())
			}
		})
	}
}

func TestPublicAddressesAreCalledOnPortsForWebhooksAlone(t *testing.T) {
	control := newDialer(nil).Control
	for _, host := range []string{"93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946"} {
		network := map[bool]string{true: "tcp6", false: "tcp4"}[strings.Contains(host, ":")]
		for _, port := range []string{"80", "443", "8080", "8443"} {
			if err := control(network, net.JoinHostPort(host, port), nil); err != nil {
				t.Errorf("%s:%s: %v", host, port, err)
			}
		}
		for _, port := range []string{"22", "25", "53", "3306", "5432", "6379", "8484", "8485", "11211"} {
			if err := control(network, net.JoinHostPort(host, port), nil); !errors.Is(err, errForbidden) {
				t.Errorf("%s:%s: %v", host, port, err)
			}
		}
	}
}

// An allowed network is allowed by its addresses, in whatever form they come, and
// nothing beside it is.
func TestAnAllowedNetworkOpensNothingBesideIt(t *testing.T) {
	control := newDialer([]netip.Prefix{netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("fd12::/32")}).Control
	for address, want := range map[string]bool{
		"10.1.2.3:9000": true, "[::ffff:10.1.2.3]:9000": true, "[fd12::1]:22": true,
		"10.2.0.1:443": false, "127.0.0.1:443": false, "[fd13::1]:443": false, "169.254.169.254:80": false, "10.1.2.3": false,
	} {
		network := map[bool]string{true: "tcp6", false: "tcp4"}[strings.HasPrefix(address, "[")]
		if err := control(network, address, nil); (err == nil) != want {
			t.Errorf("%s: %v", address, err)
		}
	}
}

func TestASinkInsideOrInPlainTextIsRefusedWhenItIsMade(t *testing.T) {
	s := &Sender{cfg: Config{Allow: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("127.0.0.0/8")}}.withDefaults()}
	s.dialer = newDialer(s.cfg.Allow)
	for address, want := range map[string]bool{
		"https://hooks.example.com/in?token=1": true, "https://93.184.216.34:8443/": true, "http://10.1.2.3:9000/hook": true,
		"http://127.0.0.1:1/": true, "http://localhost:9000/": true, "https://[2606:2800:220:1:248:1893:25c8:1946]/": true,
		"http://hooks.example.com/": false, "https://user:secret@hooks.example.com/": false, "https://user@hooks.example.com/": false,
		"ftp://hooks.example.com/": false, "https:///path": false, "hooks.example.com": false, "https://hooks.example.com/#part": false,
		"https:hooks.example.com": false, "https://10.2.0.1/": false, "https://[::1]/": false, "https://169.254.169.254/": false,
		"https://93.184.216.34:22/": false, "file:///etc/passwd": false, "https://hooks.example.com/" + strings.Repeat("a", 2000): false,
		"https://hooks.example.com/\x00": false, "": false,
	} {
		err := s.check(liwanag.Sink{Name: "crm", URL: address})
		if (err == nil) != want {
			t.Errorf("%.80q: %v", address, err)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("the fault repeats what was sent: %v", err)
		}
	}
}

// loopbackSender may call this machine.
func loopbackSender() *Sender {
	dialer := newDialer([]netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")})
	return &Sender{cfg: Config{}.withDefaults(), dialer: dialer, client: newClient(dialer)}
}

func TestARedirectIsNotFollowed(t *testing.T) {
	var followed atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/hook" {
			followed.Add(1)
			return
		}
		http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
	}))
	defer server.Close()
	got := loopbackSender().post(t.Context(), liwanag.Sink{URL: server.URL + "/hook"}, "msg_1", nil)
	if got.status != http.StatusTemporaryRedirect || got.fault == "" || followed.Load() != 0 {
		t.Errorf("%+v, followed %d times", got, followed.Load())
	}
}

func TestAnAnswerIsReadUpToABoundAndThrownAway(t *testing.T) {
	written := make(chan int, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		n, chunk := 0, make([]byte, 1<<20)
		for n < 1<<30 { // as much as is taken
			m, err := w.Write(chunk)
			if n += m; err != nil {
				break
			}
		}
		written <- n
	}))
	defer server.Close()
	if got := loopbackSender().post(t.Context(), liwanag.Sink{URL: server.URL}, "msg_1", nil); got.status != 200 || got.fault != "" {
		t.Errorf("%+v", got)
	}
	if n := <-written; n > 64<<20 { // what the sockets hold
		t.Errorf("%d bytes of an answer were taken", n)
	}
}

// A proxy would connect in our place, past the guard.
func TestTheProxyOfTheEnvironmentIsNotUsed(t *testing.T) {
	transport, ok := newClient(newDialer(nil)).Transport.(*http.Transport)
	if !ok || transport.Proxy != nil {
		t.Error("a proxy may be used")
	}
}

// What is kept of a failure is one of a few texts, without addresses.
func TestAFailedCallIsToldInAFewWords(t *testing.T) {
	closed := httptest.NewServer(nil)
	closed.Close()
	unknown := httptest.NewUnstartedServer(nil)
	unknown.Config.ErrorLog = log.New(io.Discard, "", 0)
	unknown.StartTLS() // by nobody's certificate
	defer unknown.Close()
	s := loopbackSender()
	s.dialer.Resolver = (&names{addrs: func(int) netip.Addr { return netip.MustParseAddr("127.0.0.1") }}).resolver()
	for address, want := range map[string]string{
		closed.URL:                "the connection was refused",
		unknown.URL:               "its certificate or TLS cannot be used",
		"http://no..name/":        "its name cannot be resolved",
		"http://169.254.169.254/": errForbidden.Error(),
		"http://\x7f/":            "the sink's URL is none",
	} {
		if got := s.post(t.Context(), liwanag.Sink{URL: address}, "msg_1", nil); got.fault != want || got.status != 0 {
			t.Errorf("%q: %+v, want %q", address, got, want)
		}
	}
}

func itoa(port uint16) string { return strconv.Itoa(int(port)) }

// names is a DNS server without a socket: addrs answers the n-th question for an
// IPv4 address, whatever the name.
type names struct {
	addrs func(n int) netip.Addr
	asked atomic.Int64
}

func (n *names) resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		near, far := net.Pipe()
		go n.serve(far)
		return near, nil
	}}
}

func (n *names) serve(conn net.Conn) {
	defer conn.Close()
	packet := make([]byte, 2+512)
	size, err := conn.Read(packet[:2]) // a stream: two bytes of length first
	if err != nil || size != 2 {
		return
	}
	if size, err = conn.Read(packet[2:]); err != nil {
		return
	}
	var asked dnsmessage.Message
	if asked.Unpack(packet[2:2+size]) != nil || len(asked.Questions) != 1 {
		return
	}
	question := asked.Questions[0]
	reply := dnsmessage.Message{Header: dnsmessage.Header{ID: asked.ID, Response: true, Authoritative: true}, Questions: asked.Questions}
	if question.Type == dnsmessage.TypeA {
		reply.Answers = []dnsmessage.Resource{{Header: dnsmessage.ResourceHeader{Name: question.Name, Type: question.Type, Class: question.Class},
			Body: &dnsmessage.AResource{A: n.addrs(int(n.asked.Add(1))).As4()}}}
	}
	body, err := reply.Pack()
	if err != nil {
		return
	}
	_, _ = conn.Write(append([]byte{byte(len(body) >> 8), byte(len(body))}, body...))
}
