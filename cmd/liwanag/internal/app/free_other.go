//go:build !unix

package app

import "errors"

// freeAt cannot be told here.
func freeAt(string) (int64, error) { return 0, errors.ErrUnsupported }
