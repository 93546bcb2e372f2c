package main

import (
	"cmp"

	"github.com/spf13/cobra"

	"github.com/testudo-shield/testudo/shield"
	"github.com/testudo-shield/testudo/tell/inquiry"
)

func (a *app) explainCommand() *cobra.Command {
	var plain bool
	c := &cobra.Command{
		Use:   "explain INCIDENT|ADDRESS|NAME",
		Short: "Say why something is believed what it is: step by step, for and against",
		Long: "explain tells an incident's steps in order of time, what speaks for it and what against, with the numbers;\n" +
			"of an address or a name, the incidents it takes part in, the lists that name it and how old they are, the\n" +
			"entries of the allow list that fit, and where recorded history has it, with the coverage of that answer.",
		Args:    exactlyOne("explain", "incident, address or name"),
		Example: "  testudo explain INC-7F3K\n  testudo explain 203.0.113.7",
		RunE: func(c *cobra.Command, args []string) error {
			if err := a.format("text", "json"); err != nil {
				return err
			}
			return a.with(func(m *shield.Memory) error {
				e, damaged, err := m.Explain(c.Context(), args[0])
				if err != nil {
					return err
				}
				if a.output == "json" {
					return cmp.Or(e.JSON(a.stdout), a.unread(damaged))
				}
				o := a.textOptions(judgeFlags{plain: plain})
				return cmp.Or(e.Text(a.stdout, inquiry.TextOptions{Width: o.Width, Zone: o.Zone, Plain: o.Plain}), a.unread(damaged))
			})
		},
	}
	c.Flags().BoolVar(&plain, "plain", false, "no drawing")
	return c
}
