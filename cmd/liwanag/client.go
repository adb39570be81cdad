package main

import (
	"github.com/liwanag/liwanag/cmd/liwanag/internal/apiclient"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/config"
)

// clientFlags are those of commands that talk to a running server.
type clientFlags struct {
	config.Client
}

func (c *clientFlags) dial() (*apiclient.Client, error) {
	client, err := apiclient.New(apiclient.Config{Server: c.Server, APIKey: c.APIKey.Reveal()})
	if err != nil {
		return nil, &usageError{err.Error()}
	}
	return client, nil
}
