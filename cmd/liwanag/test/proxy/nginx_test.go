package proxy

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"mime/multipart"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/liwanag/liwanag/cmd/liwanag/test/process"
)

func TestMain(m *testing.M) { os.Exit(process.Main(m.Run)) }

const (
	name   = "liwanag.example.com"
	key    = "a-key-of-the-operator-of-32-bytes"
	secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
)

// world is a server behind nginx, as deploy/nginx.conf has it.
type world struct {
	*testing.T
	dir         string
	plain, safe string // where nginx listens
	client      *http.Client
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{T: t, dir: t.TempDir()}
	addr := process.FreeAddr(t)
	server := process.Start(t, []string{"LIWANAG_ADDR=" + addr, "LIWANAG_ADMIN_ADDR=off", "LIWANAG_API_KEY=" + key,
		"LIWANAG_PUBLIC_URL=https://" + name, "DATABASE_URL=sqlite:" + w.dir + "/liwanag.db", "SUBSCRIBER_WEBHOOK_SECRET=" + secret}, "serve")
	w.certificate()
	w.client = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, // its own certificate
		DialContext: func(ctx context.Context, network, to string) (net.Conn, error) {
			at := w.safe
			if strings.HasSuffix(to, ":80") {
				at = w.plain
			}
			return (&net.Dialer{}).DialContext(ctx, network, at)
		}}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	ended := w.nginx(addr)
	for end := time.Now().Add(2 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
		if answer, err := w.client.Get("https://" + name + "/readyz"); err == nil {
			w.must(answer.Body.Close())
			if answer.StatusCode == http.StatusOK {
				return w
			}
		}
		select {
		case <-server.Ended:
			t.Fatalf("the server ended: %s", server.Tail())
		case <-ended: // somebody else took the ports
			ended = w.nginx(addr)
		default:
		}
		if time.Now().After(end) {
			t.Fatalf("nothing answers: %s", w.read("error.log"))
		}
	}
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) read(file string) string {
	text, _ := os.ReadFile(filepath.Join(w.dir, file)) // it may not be there
	return string(text)
}

// certificate writes one of the server's name.
func (w *world) certificate() {
	w.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	w.must(err)
	of := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{name}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, of, of, &private.PublicKey, private)
	w.must(err)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	w.must(err)
	for file, block := range map[string]*pem.Block{"fullchain.pem": {Type: "CERTIFICATE", Bytes: der},
		"privkey.pem": {Type: "PRIVATE KEY", Bytes: pkcs8}} {
		w.must(os.WriteFile(filepath.Join(w.dir, file), pem.EncodeToMemory(block), 0o600))
	}
}

// nginx runs deploy/nginx.conf as it is, but for ports and places.
func (w *world) nginx(server string) (ended chan struct{}) {
	w.Helper()
	program, err := exec.LookPath("nginx")
	if err != nil {
		program = "/usr/sbin/nginx"
	}
	w.plain, w.safe = process.FreeAddr(w), process.FreeAddr(w)
	text, err := os.ReadFile(filepath.Join("..", "..", "..", "..", "deploy", "nginx.conf"))
	w.must(err)
	conf := string(text)
	for _, change := range [][2]string{{"server 127.0.0.1:8484;", "server " + server + ";"}, {"listen 80;", "listen " + w.plain + ";"},
		{"listen 443 ssl", "listen " + w.safe + " ssl"}, {"/etc/letsencrypt/live/" + name, w.dir}} {
		if !strings.Contains(conf, change[0]) {
			w.Fatalf("deploy/nginx.conf has no %q", change[0])
		}
		conf = strings.ReplaceAll(conf, change[0], change[1])
	}
	around := "pid %[1]s/nginx.pid;\nerror_log %[1]s/error.log;\nevents {}\nhttp {\naccess_log off;\nclient_body_temp_path %[1]s/body;\n" +
		"proxy_temp_path %[1]s/proxy;\nfastcgi_temp_path %[1]s/f;\nuwsgi_temp_path %[1]s/u;\nscgi_temp_path %[1]s/s;\n%[2]s\n}\n"
	if os.Getuid() == 0 {
		around = "user root;\n" + around // the folder is ours alone
	}
	w.must(os.WriteFile(filepath.Join(w.dir, "nginx.conf"), fmt.Appendf(nil, around, w.dir, conf), 0o600))
	cmd := exec.Command(program, "-p", w.dir, "-c", filepath.Join(w.dir, "nginx.conf"), "-e", filepath.Join(w.dir, "error.log"),
		"-g", "daemon off;")
	w.must(cmd.Start())
	ended = make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	w.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM) // it may have ended
		<-ended
	})
	return ended
}

// ask asks over https, and closes nothing before the test is over.
func (w *world) ask(method, path, kind string, body io.Reader, headers ...string) *http.Response {
	w.Helper()
	r, err := http.NewRequestWithContext(w.Context(), method, "https://"+name+path, body)
	w.must(err)
	r.Header.Set("Content-Type", kind)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	answer, err := w.client.Do(r)
	w.must(err)
	w.Cleanup(func() { _ = answer.Body.Close() })
	return answer
}

func (w *world) text(answer *http.Response) string {
	w.Helper()
	text, err := io.ReadAll(answer.Body)
	w.must(err)
	return string(text)
}

const bearer = "Bearer " + key

// file is a form with a CSV file of so many bytes.
func file(t *testing.T, size int) (kind string, body []byte) {
	t.Helper()
	var form bytes.Buffer
	w := multipart.NewWriter(&form)
	part, err := w.CreateFormFile("file", "people.csv")
	if err != nil {
		t.Fatal(err)
	}
	row := strings.Repeat("x", 980)
	fmt.Fprint(part, "email,note\n")
	for i := 0; form.Len() < size; i++ {
		fmt.Fprintf(part, "p%d@gmail.com,%s\n", i, row)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return w.FormDataContentType(), form.Bytes()
}

func TestNginxAsInDeployServesAllOfIt(t *testing.T) {
	w := newWorld(t)
	answer, err := w.client.Get("http://" + name + "/runs?status=failed")
	w.must(err)
	w.must(answer.Body.Close())
	if got := answer.Header.Get("Location"); answer.StatusCode != http.StatusMovedPermanently || got != "https://"+name+"/runs?status=failed" {
		t.Errorf("http leads to %d %s", answer.StatusCode, got)
	}
	// A browser signs in: its Origin is compared with the Host that nginx hands on.
	const form = "application/x-www-form-urlencoded"
	signIn := w.ask("POST", "/sign-in", form, strings.NewReader("key="+key), "Origin", "https://"+name)
	if cookie := signIn.Header.Get("Set-Cookie"); signIn.StatusCode != http.StatusSeeOther || !strings.HasPrefix(cookie, "__Host-liwanag=") {
		t.Errorf("signing in: %d %q", signIn.StatusCode, cookie)
	}
	signIn = w.ask("POST", "/sign-in", form, strings.NewReader("key="+key), "Origin", "https://evil.example")
	if signIn.StatusCode != http.StatusForbidden {
		t.Errorf("another site's page signs in: %d", signIn.StatusCode)
	}
	// A file that is larger than any other body may be.
	kind, large := file(t, 9<<20)
	sent := w.ask("POST", "/api/v1/uploads", kind, bytes.NewReader(large), "Authorization", bearer)
	if sent.StatusCode != http.StatusAccepted {
		t.Errorf("a file of 9 MiB: %d %s", sent.StatusCode, w.text(sent))
	}
	sent = w.ask("POST", "/api/v1/subscribers", kind, bytes.NewReader(large), "Authorization", bearer)
	if sent.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("9 MiB that are no file: %d", sent.StatusCode)
	}
	// A signature is over the bytes as they came.
	body, now := `{"email":  "ann@gmail.com", "note": "ü"}`, time.Now()
	signer, err := standardwebhooks.NewWebhook(secret)
	w.must(err)
	signature, err := signer.Sign("msg_1", now, []byte(body))
	w.must(err)
	if answer := w.ask("POST", "/webhooks/subscribers", "application/json", strings.NewReader(body), "webhook-id", "msg_1",
		"webhook-timestamp", fmt.Sprint(now.Unix()), "webhook-signature", signature); answer.StatusCode != http.StatusAccepted {
		t.Errorf("a signed webhook: %d %s", answer.StatusCode, w.text(answer))
	}
}

func TestNginxAsInDeployHoldsNoEventBackAndTellsTheClient(t *testing.T) {
	w := newWorld(t)
	lines := bufio.NewScanner(w.ask("GET", "/api/v1/events", "", nil, "Authorization", bearer).Body)
	w.wait(lines, ": welcome")
	w.ask("POST", "/api/v1/subscribers", "application/json", strings.NewReader(`{"email":"ben@gmail.com"}`), "Authorization", bearer,
		"X-Forwarded-For", "203.0.113.9")
	w.wait(lines, "event: run") // while the stream goes on
	w.ask("POST", "/api/v1/submissions/pause", "application/json", strings.NewReader(`{"reason":"a test"}`), "Authorization", bearer,
		"X-Forwarded-For", "203.0.113.9")
	if acts := w.text(w.ask("GET", "/api/v1/audit", "", nil, "Authorization", bearer)); !strings.Contains(acts, `"client":"127.0.0.1"`) ||
		strings.Contains(acts, "203.0.113.9") {
		t.Errorf("a client is who it claims to be: %s", acts)
	}
}

// wait reads a stream up to a line.
func (w *world) wait(lines *bufio.Scanner, want string) {
	w.Helper()
	for lines.Scan() {
		if lines.Text() == want {
			return
		}
	}
	w.Fatalf("the stream ends without %q: %v", want, lines.Err())
}
