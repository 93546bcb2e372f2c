package main

import (
	"cmp"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/testudo-shield/testudo/tell/inquiry"
)

func (a *app) lookupCommand() *cobra.Command {
	return &cobra.Command{
		Use: "lookup VALUE", Short: "Tell all that is known of an address, name, URL, fingerprint or hash",
		Long: "lookup prints one card: known bad, known good, shared or unknown; on which lists and how old; what speaks\n" +
			"against acting on it; whether it is allowed; who was seen with it here, first and last, and how much was\n" +
			"recorded; the incidents it takes part in.",
		Example: "  testudo lookup 203.0.113.7\n  testudo lookup -o json bad.example",
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) != 1 {
				return exitError{exitUsage, errors.New("lookup: name one value:  testudo lookup 203.0.113.7")}
			}
			if err := a.format("text", "json"); err != nil {
				return err
			}
			m, err := a.memory()
			if err != nil {
				return err
			}
			defer m.Close()
			card, damaged, err := m.Lookup(c.Context(), args[0])
			if err != nil {
				return memoryError(err)
			}
			if a.output == "json" {
				return cmp.Or(card.JSON(a.stdout), a.unread(damaged))
			}
			return cmp.Or(card.Text(a.stdout, inquiry.TextOptions{Width: width(a.stdout), Zone: time.Local}), a.unread(damaged))
		},
	}
}
