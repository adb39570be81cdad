module github.com/liwanag/liwanag/observe/otel

go 1.26.0

require (
	github.com/liwanag/liwanag v0.1.0
	go.opentelemetry.io/otel v1.47.0
	go.opentelemetry.io/otel/trace v1.47.0
)

require github.com/cespare/xxhash/v2 v2.3.0 // indirect
