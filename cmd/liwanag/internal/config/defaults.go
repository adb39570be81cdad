package config

import (
	"fmt"

	"github.com/alecthomas/kong"
)

// Defaults are the settings of a server that nobody configured: neither flags nor
// environment nor file are looked at.
func Defaults() (Settings, error) {
	var s Settings
	parser, err := kong.New(&s, kong.PostBuild(func(k *kong.Kong) error {
		for _, flag := range k.Model.Flags {
			flag.Envs, flag.Tag.Envs = nil, nil
		}
		return nil
	}))
	if err == nil {
		_, err = parser.Parse(nil)
	}
	if err != nil {
		return Settings{}, fmt.Errorf("config: defaults: %w", err)
	}
	return s, nil
}
