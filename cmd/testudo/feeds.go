package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/keep/feed"
)

// source is the feed as keep/feed wants it.
func (f feedSource) source() feed.Source {
	return feed.Source{
		Name: f.Name, URL: f.URL, Kind: f.Kind, Licence: f.Licence, TLP: testudo.ParseTLP(f.TLP),
		Every: time.Duration(f.EveryHours) * time.Hour, MaxBytes: int64(f.MaxMB) << 20, SHA256: strings.ToLower(f.SHA256),
		Signature: feed.Signature{Key: f.Key, URL: f.Signature},
		Auth:      feed.Auth{User: f.User, SecretFile: f.SecretFile, Header: f.Header},
		CAFile:    f.CAFile, AllowHTTP: f.AllowHTTP,
	}
}

// feeds are the sources of the configuration; with names those alone.
func (c config) feeds(names ...string) (all []feed.Source, err error) {
	for _, f := range c.Feeds {
		if len(names) == 0 || slices.Contains(names, f.Name) {
			all = append(all, f.source())
		}
	}
	for _, n := range names {
		if !slices.ContainsFunc(c.Feeds, func(f feedSource) bool { return f.Name == n }) {
			return nil, fmt.Errorf("%q: the configuration has no feed of that name; see the key feeds", n)
		}
	}
	return all, nil
}

func (c config) checkFeeds() (wrong []problem) {
	had := map[string]bool{}
	for i, f := range c.Feeds {
		at := fmt.Sprintf("feeds.%d", i)
		refuse := func(key, format string, args ...any) {
			wrong = append(wrong, problem{path: at + key, text: fmt.Sprintf(format, args...)})
		}
		s := f.source()
		switch {
		case f.Name == "":
			refuse("", "a feed without a name; want name: sector-cert")
		case f.URL == "":
			refuse("", "a feed without an address; want url: https://…")
		case had[f.Name]:
			refuse(".name", "%q: said twice; want each feed once", f.Name)
		case f.EveryHours < 1 || f.EveryHours > 24*366:
			refuse(".every_hours", "%d: want 1 to %d", f.EveryHours, 24*366)
		case f.MaxMB < 1 || f.MaxMB > 4096:
			refuse(".max_mb", "%d: want 1 to 4096 megabytes", f.MaxMB)
		case f.TLP != "" && s.TLP == testudo.TLPUnset:
			refuse(".tlp", "%q: want clear, green, amber, amber+strict or red", f.TLP)
		default:
			if err := s.Check(); err != nil {
				refuse("", "%v", err)
			}
		}
		had[f.Name] = true
	}
	return wrong
}
