package report

import (
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/testudo-shield/testudo"
)

// CSV writes one header and one row an incident, in the order given. Lists
// within a field are separated by a blank. Foreign text is escaped as Clean
// does it, uncut, and what a spreadsheet would take for a formula gets an
// apostrophe before it.
func CSV(w io.Writer, incidents []testudo.Incident) error {
	cw := csv.NewWriter(w)
	rows := make([][]string, 0, len(incidents)+1)
	rows = append(rows, []string{
		"id", "kind", "severity", "confidence", "urgency", "first_seen", "last_seen", "title",
		"victims", "victim_names", "servers", "server_names", "ports", "roles", "techniques", "detectors",
	})
	for i := range incidents {
		rows = append(rows, csvRow(&incidents[i]))
	}
	if err := cw.WriteAll(rows); err != nil {
		return fmt.Errorf("report: write csv: %w", err)
	}
	return nil
}

func csvRow(in *testudo.Incident) []string {
	var victims, names, servers, serverNames, ports, roles, detectors []string
	for _, v := range in.Victims {
		victims = addOnce(victims, address(v.Address))
		names = addOnce(names, v.Name)
	}
	for _, s := range in.Servers {
		servers = addOnce(servers, address(s.Address))
		serverNames = addOnce(serverNames, s.Names...)
		ports = addOnce(ports, s.Ports...)
		roles = addOnce(roles, string(s.Role))
	}
	for _, s := range in.Sightings {
		detectors = addOnce(detectors, s.Detector)
	}
	confidence, _ := number(probability(in.Confidence))
	return []string{
		cell(in.ID), cell(string(in.Kind)), in.Severity.String(), confidence, strconv.Itoa(in.Urgency),
		in.First.String(), in.Last.String(), cell(in.Title), cellList(victims), cellList(names), cellList(servers),
		cellList(serverNames), cellList(ports), cellList(roles), cellList(in.Techniques), cellList(detectors),
	}
}

// addOnce appends the words that are neither empty nor in the list yet.
func addOnce(list []string, words ...string) []string {
next:
	for _, w := range words {
		if w == "" {
			continue
		}
		for _, have := range list {
			if have == w {
				continue next
			}
		}
		list = append(list, w)
	}
	return list
}

func cellList(words []string) string { return cell(strings.Join(words, " ")) }

// cell makes s safe in a spreadsheet. A program set to another separator
// begins a field after it, so what follows one is looked at as well.
func cell(s string) string {
	s = escape(s)
	var b strings.Builder
	start := true
	for _, r := range s {
		if start && strings.ContainsRune("=+-@＝＋－＠", r) {
			b.WriteByte('\'')
		}
		start = strings.ContainsRune(`,;|"`, r) || start && r == ' '
		b.WriteRune(r)
	}
	return b.String()
}
