package process

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/apiclient"
)

// File is a CSV file with the addresses of persons from to to-1.
func File(from, to int) string {
	var file strings.Builder
	file.WriteString("email,source\n")
	for i := from; i < to; i++ {
		fmt.Fprintf(&file, "person%04d@gmail.com,test\n", i)
	}
	return file.String()
}

// Import uploads a file and waits until all its rows are taken, once more
// whenever the server ends meanwhile.
func Import(ctx context.Context, client *apiclient.Client, file string) error {
	for {
		up, err := client.Upload(ctx, apiclient.UploadFile{Name: "people.csv", Confirm: true}, strings.NewReader(file))
		if err == nil {
			for up, err = range client.WatchUpload(ctx, up.ID, 20*time.Millisecond) {
				if err == nil && up.Status != "importing" {
					return nil
				}
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w; last: %w", ctx.Err(), err)
		case <-time.After(10 * time.Millisecond):
		}
	}
}
