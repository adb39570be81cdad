// Package door attacks a server from one address and sees that others are served: on
// another address, and through a proxy.
package door
