package temporalrunner

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/contrib/envconfig"
	"go.temporal.io/sdk/log"
)

// DialConfig says where the Temporal server is. The zero value is Temporal's own
// environment: TEMPORAL_ADDRESS (default localhost:7233), TEMPORAL_NAMESPACE
// (default "default"), TEMPORAL_API_KEY, TEMPORAL_TLS_…, and the configuration
// file and profile that TEMPORAL_CONFIG_FILE and TEMPORAL_PROFILE name.
type DialConfig struct {
	Address   string // host:port, over the environment's
	Namespace string // over the environment's
	// Log takes the SDK's log; default slog.Default().
	Log *slog.Logger
	// Patience is how long the server may take to answer; default 5 s.
	Patience time.Duration
}

// Dial connects to the Temporal server and looks the namespace up. The error of a
// server that does not answer, or of a namespace that does not exist, says so, and
// what to try.
func Dial(ctx context.Context, c DialConfig) (client.Client, error) {
	options, err := envconfig.LoadDefaultClientOptions()
	if err != nil {
		return nil, fmt.Errorf("temporalrunner: Temporal's configuration cannot be read: %w\n  Try: correct "+
			"the TEMPORAL_… variables, or the file that TEMPORAL_CONFIG_FILE names", err)
	}
	if c.Address != "" {
		options.HostPort = c.Address
	}
	if c.Namespace != "" {
		options.Namespace = c.Namespace
	}
	if options.HostPort == "" {
		options.HostPort = client.DefaultHostPort
	}
	if options.Namespace == "" {
		options.Namespace = client.DefaultNamespace
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Patience <= 0 {
		c.Patience = 5 * time.Second
	}
	options.Logger = log.NewStructuredLogger(c.Log)
	options.ConnectionOptions.GetSystemInfoTimeout = c.Patience
	ctx, cancel := context.WithTimeout(ctx, c.Patience)
	defer cancel()
	opened, err := client.DialContext(ctx, options)
	if err != nil {
		return nil, fmt.Errorf("temporalrunner: the Temporal server at %s does not answer: %w\n  Try: check "+
			"TEMPORAL_ADDRESS and that the server runs; for a local one, temporal server start-dev", options.HostPort, err)
	}
	_, err = opened.WorkflowService().DescribeNamespace(ctx, &workflowservice.DescribeNamespaceRequest{Namespace: options.Namespace})
	if err == nil {
		return opened, nil
	}
	opened.Close()
	if errors.As(err, new(*serviceerror.NamespaceNotFound)) {
		return nil, fmt.Errorf("temporalrunner: the Temporal server at %s has no namespace %q\n  Try: check "+
			"TEMPORAL_NAMESPACE, or create it: temporal operator namespace create --namespace %s", options.HostPort, options.Namespace,
			options.Namespace)
	}
	return nil, fmt.Errorf("temporalrunner: the namespace %q cannot be read from the Temporal server at %s: "+
		"%w\n  Try: check TEMPORAL_NAMESPACE, TEMPORAL_API_KEY and TEMPORAL_TLS", options.Namespace, options.HostPort, err)
}
