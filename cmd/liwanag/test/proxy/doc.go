// Package proxy runs deploy/nginx.conf before a server.
package proxy
