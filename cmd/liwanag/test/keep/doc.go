// Package keep kills backups, restores and copies of a database, and looks at what is
// there then: what is half is never taken for whole.
package keep
