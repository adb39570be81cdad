package main

import (
	"fmt"
	"os"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/apiclient"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/config"
)

// clientFlags are those of commands that talk to a running server.
type clientFlags struct {
	config.Client
}

func (c *clientFlags) dial() (*apiclient.Client, error) {
	// Kong asks one Validate of a command, which is another's where that stands nearer.
	if err := c.Client.Validate(); err != nil {
		return nil, &usageError{err.Error()}
	}
	for _, warning := range c.Warnings() {
		fmt.Fprintln(os.Stderr, "liwanag: "+warning)
	}
	client, err := apiclient.New(apiclient.Config{Server: c.Server, APIKey: c.APIKey.Reveal()})
	if err != nil {
		return nil, &usageError{err.Error()}
	}
	return client, nil
}
