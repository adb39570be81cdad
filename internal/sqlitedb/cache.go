package sqlitedb

import (
	"sync"

	"modernc.org/libc"
	lib "modernc.org/sqlite/lib"
)

// reservePages gives SQLite the memory for pages once and for all. Its connections share
// one cache under one lock. Whoever reads a whole database, a backup for one, comes to
// hold most of it, and gave it back page by page to the system when it was closed, which
// kept the writer waiting for a tenth of a second and more. Pages of this memory only
// change hands. It is as large as what the connections of a database may hold together;
// a few MB of it are touched before they are used. Where the process has used SQLite
// before, nothing is changed.
var reservePages = sync.OnceFunc(func() {
	const slot, slots = 16<<10 + 512, 4608 // a page of the default size, and what SQLite notes of it
	tls := libc.NewTLS()
	defer tls.Close()
	memory := libc.Xmalloc(tls, slot*slots)
	if memory == 0 {
		return
	}
	arguments := libc.NewVaList(memory, int32(slot), int32(slots))
	defer libc.Xfree(tls, arguments)
	if lib.Xsqlite3_config(tls, lib.SQLITE_CONFIG_PAGECACHE, arguments) != lib.SQLITE_OK {
		libc.Xfree(tls, memory)
	}
})
