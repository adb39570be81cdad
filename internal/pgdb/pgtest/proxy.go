package pgtest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// Proxy stands between a program and a cluster, and breaks what a network breaks.
type Proxy struct {
	URL string // of the database, through the proxy

	socket string
	listen net.Listener
	done   sync.WaitGroup

	refuse  atomic.Bool
	mute    atomic.Bool  // new connections are taken, and never answered
	silence atomic.Int64 // counts the calls of Silence
	cutOff  atomic.Bool  // the next lost answer is the last thing that passes
	drop    atomic.Bool  // and the commit itself does not
	swallow atomic.Int64 // commits whose answers are still to be lost
	lost    atomic.Int64

	mu    sync.Mutex
	conns map[net.Conn]struct{}
}

// NewProxy starts a proxy on a loopback port in front of a database of a cluster.
func NewProxy(t testing.TB, s *Server, database string) *Proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	target := url.URL{Scheme: "postgres", User: url.User(s.User), Host: l.Addr().String(), Path: "/" + database, RawQuery: "sslmode=disable"}
	p := &Proxy{URL: target.String(), socket: filepath.Join(s.Dir, ".s.PGSQL.5432"), listen: l, conns: map[net.Conn]struct{}{}}
	p.done.Go(p.accept)
	t.Cleanup(func() {
		_ = l.Close()
		p.Cut()
		p.done.Wait()
	})
	return p
}

// Cut breaks all connections.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		_ = c.Close()
	}
}

// Refuse breaks all connections and lets no new one through until it is called
// with false.
func (p *Proxy) Refuse(on bool) {
	p.refuse.Store(on)
	if on {
		p.Cut()
	}
}

// Silence lets the connections that there are carry nothing any more, in either
// direction, and tells nobody, as a firewall does that forgot them. With andNew that
// goes for new ones too.
func (p *Proxy) Silence(andNew bool) {
	p.mute.Store(andNew)
	p.silence.Add(1)
}

// LoseCommits lets the next n commits reach the server and breaks each connection
// before the answer.
func (p *Proxy) LoseCommits(n int64) { p.swallow.Store(n) }

// LoseCommitAndRefuse lets the next commit reach the server, and nothing pass from
// then on, its answer included, until Refuse is called with false.
func (p *Proxy) LoseCommitAndRefuse() {
	p.cutOff.Store(true)
	p.LoseCommits(1)
}

// DropCommitAndRefuse lets nothing pass from the next commit on, itself included, until
// Refuse is called with false: the client does not know that it never landed.
func (p *Proxy) DropCommitAndRefuse() {
	p.drop.Store(true)
	p.LoseCommits(1)
}

// Lost is how many answers to commits were lost.
func (p *Proxy) Lost() int64 { return p.lost.Load() }

func (p *Proxy) accept() {
	for {
		client, err := p.listen.Accept()
		if err != nil {
			return
		}
		if p.refuse.Load() {
			_ = client.Close()
			continue
		}
		if p.mute.Load() {
			p.keep(client)
			continue
		}
		server, err := net.Dial("unix", p.socket)
		if err != nil {
			_ = client.Close()
			continue
		}
		p.keep(client, server)
		if p.refuse.Load() { // since it was looked at
			p.Cut()
		}
		p.done.Go(func() { p.serve(client, server) })
	}
}

func (p *Proxy) keep(conns ...net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range conns {
		p.conns[c] = struct{}{}
	}
}

func (p *Proxy) serve(client, server net.Conn) {
	var silent atomic.Bool // the next answer is not passed on
	var both sync.WaitGroup
	silences := p.silence.Load()
	dead := func() bool { return p.silence.Load() != silences }
	both.Go(func() { p.answers(client, server, &silent, dead) })
	_ = p.questions(client, server, &silent, dead)
	_ = server.Close()
	_ = client.Close()
	both.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, client)
	delete(p.conns, server)
}

// answers passes on what the server says; once silence was asked for the answers
// are swallowed, and the connection is broken when the server waits again.
func (p *Proxy) answers(client, server net.Conn, silent *atomic.Bool, dead func() bool) {
	buffer := make([]byte, 64<<10)
	for {
		n, err := server.Read(buffer)
		if dead() {
			if err != nil {
				return // the client hears nothing of it
			}
			continue
		}
		if silent.Load() && n > 0 {
			if !isReady(buffer[:n]) {
				continue // not yet that of the commit
			}
			if p.cutOff.Swap(false) {
				p.Refuse(true)
			}
			p.lost.Add(1)
			break
		}
		if _, werr := client.Write(buffer[:n]); err != nil || werr != nil {
			break
		}
	}
	_ = client.Close()
	_ = server.Close()
}

// questions passes on what the client says, a message at a time, and looks for a
// commit.
func (p *Proxy) questions(client, server net.Conn, silent *atomic.Bool, dead func() bool) error {
	first, err := message(client, 0)
	if err != nil {
		return err
	}
	parsed := false // what was parsed last is a commit, which is about to be executed
	for {
		if !dead() {
			if _, err := server.Write(first); err != nil {
				return err
			}
		}
		if first, err = message(client, 1); err != nil {
			return err
		}
		commits := false
		switch first[0] {
		case 'P':
			parsed = isText(first[6:], "commit") // behind an empty name
		case 'E':
			commits = parsed
		case 'Q':
			commits = isText(first[5:], "commit")
		}
		if !commits || !p.take() {
			continue
		}
		if p.drop.Swap(false) {
			p.Refuse(true)
			p.lost.Add(1)
			return nil
		}
		silent.Store(true)
	}
}

func (p *Proxy) take() bool {
	for {
		n := p.swallow.Load()
		if n <= 0 {
			return false
		}
		if p.swallow.CompareAndSwap(n, n-1) {
			return true
		}
	}
}

// message reads one message of the protocol; the first of a connection has no
// type in front.
func message(r io.Reader, typed int) ([]byte, error) {
	head := make([]byte, typed+4)
	if _, err := io.ReadFull(r, head); err != nil {
		return nil, err
	}
	size := int(binary.BigEndian.Uint32(head[typed:])) - 4
	if size < 0 || size > 1<<30 {
		return nil, errors.New("not a message of PostgreSQL's protocol")
	}
	body := make([]byte, size)
	if _, err := io.ReadFull(r, body); err != nil {
		return nil, err
	}
	return append(head, body...), nil
}

func isText(m []byte, want string) bool {
	text, _, _ := bytes.Cut(m, []byte{0})
	return strings.EqualFold(string(text), want)
}

// isReady says whether answers end with ReadyForQuery.
func isReady(answers []byte) bool {
	n := len(answers) - 6
	return n >= 0 && bytes.Equal(answers[n:n+5], []byte{'Z', 0, 0, 0, 5})
}
