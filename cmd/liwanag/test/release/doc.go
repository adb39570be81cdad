// Package release tests install.sh against a server of files.
package release
