package door

import (
	"container/list"
	"context"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
)

// connections bounds how many connections are open, in all and from one address. Who
// comes when there is no room takes that of a connection that waits for its client:
// first of one that has not asked anything yet, then of one that asks no more, then of
// one that sends the body of a webhook that has shown nothing yet. So whoever holds
// connections open takes the room from themselves alone.
type connections struct {
	net.Listener
	most  int                   // open at once
	each  int                   // of one address
	many  int                   // of one proxy, which stands for many
	proxy func(netip.Addr) bool // whether an address is a proxy's

	mu   sync.Mutex
	open int // without the spare ones
	from map[netip.Addr]*holder
	// spare are those beyond the bounds, of whatever address, for probes alone.
	spare holder
}

// How the bound of all is shared out. Beyond it a few are taken for whoever asks
// whether the process is well.
const (
	shareOfOne   = 8
	shareOfProxy = 2
	spares       = 64
)

// What a connection waits for, in the order in which it gives its room up.
const (
	waitsForHeaders = iota
	waitsIdle
	waitsForBody
	waits // how many there are
	busy  = waits
)

// holder is an address with connections.
type holder struct {
	open    int
	waiting [waits]list.List // of *connection, the longest first
}

// connection is one of an address.
type connection struct {
	net.Conn
	all  *connections
	from netip.Addr
	in   *holder // of its address, or of the spare ones

	state   int
	place   *list.Element // among those that wait for the same
	gone    bool
	lingers atomic.Bool // its client may still be sending what nobody reads
}

func newConnections(l net.Listener, most int, proxy func(netip.Addr) bool) *connections {
	return &connections{Listener: l, most: most, each: max(most/shareOfOne, 1), many: max(most/shareOfProxy, 1), proxy: proxy,
		from: map[netip.Addr]*holder{}}
}

// Accept takes the next connection that there is room for.
func (c *connections) Accept() (net.Conn, error) {
	for {
		conn, err := c.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if one := c.enter(conn); one != nil {
			return one, nil
		}
		_ = conn.Close()
	}
}

// enter takes a connection in, or nil: there is no room.
func (c *connections) enter(conn net.Conn) *connection {
	addr := addressIn(conn.RemoteAddr().String())
	one := &connection{Conn: conn, all: c, from: networkOf(addr), state: waitsForHeaders}
	c.mu.Lock()
	defer c.mu.Unlock()
	bound := c.each
	if c.proxy(addr) {
		bound = c.many
	}
	h, room := c.from[one.from], true
	switch {
	case h != nil && h.open >= bound:
		room = h.giveUp()
	case c.open >= c.most:
		room = c.idlest().giveUp()
	}
	switch {
	case room:
		one.in = c.holderOf(one.from)
		c.open++
	case c.spare.open < spares || c.spare.giveUp():
		one.in = &c.spare
	default:
		return nil
	}
	one.in.open++
	one.place = one.in.waiting[one.state].PushBack(one)
	return one
}

func (c *connections) holderOf(from netip.Addr) *holder {
	h, ok := c.from[from]
	if !ok {
		h = &holder{}
		c.from[from] = h
	}
	return h
}

// idlest is the holder of most connections that wait.
func (c *connections) idlest() *holder {
	most, found := 0, &holder{}
	for _, h := range c.from {
		n := 0
		for i := range h.waiting {
			n += h.waiting[i].Len()
		}
		if n > most {
			most, found = n, h
		}
	}
	return found
}

// giveUp closes the connection that waits for the least; false: none waits.
func (h *holder) giveUp() bool {
	for i := range h.waiting {
		if first := h.waiting[i].Front(); first != nil {
			one, _ := first.Value.(*connection)
			one.leave()
			_ = one.Conn.Close()
			return true
		}
	}
	return false
}

// leave gives the room back, once.
func (c *connection) leave() {
	if c.gone {
		return
	}
	c.gone = true
	c.stop()
	if c.in.open--; c.isSpare() {
		return
	}
	c.all.open--
	if c.in.open == 0 {
		delete(c.all.from, c.from)
	}
}

// isSpare says whether it is for probes alone.
func (c *connection) isSpare() bool { return c.in == &c.all.spare }

// stop ends its waiting.
func (c *connection) stop() {
	if c.place != nil {
		c.in.waiting[c.state].Remove(c.place)
		c.place = nil
	}
}

// becomes notes what a connection waits for.
func (c *connection) becomes(state int) {
	c.all.mu.Lock()
	defer c.all.mu.Unlock()
	if c.gone {
		return
	}
	c.stop()
	if c.state = state; state < waits {
		c.place = c.in.waiting[state].PushBack(c)
	}
}

// Close closes the connection, or has it closed when its client has the answer.
func (c *connection) Close() error {
	if c.lingers.CompareAndSwap(true, false) {
		go c.linger()
		return nil
	}
	c.all.mu.Lock()
	c.leave()
	c.all.mu.Unlock()
	return c.Conn.Close()
}

// follow is the ConnState of the server.
func follow(conn net.Conn, state http.ConnState) {
	one, ok := conn.(*connection)
	switch {
	case !ok:
	case state == http.StateActive:
		one.becomes(busy)
	case state == http.StateIdle:
		one.becomes(waitsIdle)
	}
}

type connectionKey struct{}

// remember is the ConnContext of the server.
func remember(ctx context.Context, conn net.Conn) context.Context {
	return context.WithValue(ctx, connectionKey{}, conn)
}

// connectionOf is the connection that a request came by; nil without one (tests, and
// pages that ask in their own name).
func connectionOf(ctx context.Context) *connection {
	one, _ := ctx.Value(connectionKey{}).(*connection)
	return one
}

// readsBody marks a request whose body shows nothing before it is read, until read is
// called.
func readsBody(ctx context.Context) (read func()) {
	one := connectionOf(ctx)
	if one == nil {
		return func() {}
	}
	one.becomes(waitsForBody)
	return func() { one.becomes(busy) }
}
