//go:build !linux

package blocker

import (
	"context"
	"errors"
)

// Config is what Serve needs.
type Config struct {
	Path  string
	UIDs  []int
	Gate  *Gate
	Ready func()
	Log   func(string)
}

// Serve exists on Linux only, where there is a firewall it knows.
func Serve(context.Context, Config) error {
	return errors.New("blocker: only Linux has a firewall that it can change; elsewhere use the sinkhole or the feed")
}
