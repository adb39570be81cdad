package main

import (
	"context"
	"testing"
)

func TestAServerThatIsToldToStopWhileItStartsEndsWell(t *testing.T) {
	p, out, _ := offline(t)
	stopped, stop := context.WithCancel(p.ctx)
	p.ctx = stopped
	parser, err := newParser(&grammar{}, p)
	if err != nil {
		t.Fatal(err)
	}
	command, err := parser.Parse([]string{"serve", "--addr", "127.0.0.1:0", "--admin-addr", "off", "--database-url", "sqlite:" + t.TempDir() + "/liwanag.db"})
	if err != nil {
		t.Fatal(err)
	}
	stop()
	if err := command.Run(p); err != nil || out.Len() > 0 {
		t.Errorf("ended with %v, having printed %q", err, out)
	}
}
