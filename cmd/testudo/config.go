package main

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"github.com/testudo-shield/testudo/engine"
)

// config is all that can be configured. Every key has a default; flags win
// over the file. What is said of each key here is also what testudo.yaml and
// docs/configuration.md say: a test makes both from these comments, the
// indented line being the example. A key with reload:"now" takes effect at
// SIGHUP, any other when the service is started again; default says in words
// what an empty value means.
type config struct {
	// Networks you are responsible for: prefixes or single addresses. Say
	// all of them, also the private ones. Flag --local.
	//
	//	[10.1.0.0/16, 192.0.2.0/24, "2001:db8:7::/48"]
	Local []string `yaml:"local" default:"the private networks, see docs/configuration.md"`
	// Files or folders of indicators, in any format of docs/indicators.md.
	// Flag --intel.
	//
	//	[/etc/testudo/indicators.txt]
	Intel []string `yaml:"intel" reload:"now" default:"none"`
	// Files of addresses, prefixes and domains known to be shared by many
	// unrelated parties, one a line.
	//
	//	[/etc/testudo/shared.txt]
	Shared []string `yaml:"shared" reload:"now" default:"none"`
	// Lists that somebody publishes. They are fetched when they are due, by
	// the service or by testudo intel update, and remembered.
	Feeds []feedSource `yaml:"feeds" reload:"now" default:"none"`
	// Interfaces to watch.
	Interfaces []iface `yaml:"interfaces" default:"none"`
	// Folders of Zeek logs and Suricata eve.json files that are followed as
	// they grow.
	//
	//	[/opt/zeek/logs/current, /var/log/suricata/eve.json]
	Follow []string `yaml:"follow" default:"none"`
	// Flow exports (NetFlow v5 and v9, IPFIX, sFlow) that are received.
	FlowExports flowExports `yaml:"flow_exports"`
	// Records that are also written as Zeek logs.
	Records records `yaml:"records"`
	// The state folder: what was learned and what was found.
	//
	//	/var/lib/testudo
	Dir string `yaml:"dir" default:"$TESTUDO_DIR, else /var/lib/testudo for root and the service, else testudo below $XDG_STATE_HOME"`
	// What of the traffic is remembered, for hunts; see docs/history.md.
	History retention `yaml:"history"`
	// How often, in minutes of traffic time, what was learned is saved: after
	// a crash, what came since is learned anew.
	CheckpointMinutes int `yaml:"checkpoint_minutes" reload:"now"`
	// Goroutines that read and judge; 0 is one a core. The answer is the same
	// with any number. Flag --workers.
	Workers int `yaml:"workers"`
	// The socket over which the sensor hands open packet sockets to the
	// service.
	SensorSocket string `yaml:"sensor_socket"`
	// The account the service runs as: the sensor hands sockets to nobody
	// else, and watch, begun as root, goes on as this one.
	User string `yaml:"user"`
	// Budgets bound the memory. They are shared out evenly to 64 logical
	// shards. Smaller ones forget sooner and say so.
	Budgets budgets `yaml:"budgets"`
}

// maxRing is how many megabytes of packets may wait to be read at most.
const maxRing = 4096

// iface is one interface that is watched.
type iface struct {
	// Its name, as ip link shows it.
	//
	//	eth1
	Name string `yaml:"name" default:"must be said"`
	// A filter in the language of tcpdump; what it does not match is not
	// seen by anyone.
	//
	//	not port 9100
	Filter string `yaml:"filter" default:"everything is seen"`
	// Megabytes for packets that wait to be read.
	RingMB int `yaml:"ring_mb"`
	// Bytes kept of each packet.
	SnapLength int `yaml:"snap_length"`
	// Rings that the interface's packets are shared out to by host pair; 0
	// is one a worker.
	Rings int `yaml:"rings"`
	// Also see what is not addressed to this machine, as from a mirror port.
	Promiscuous bool `yaml:"promiscuous"`
}

// feedSource is a list that is fetched.
type feedSource struct {
	// What its indicators are told by: 1 to 64 of a-z, 0-9, dot, dash and
	// underscore.
	//
	//	sector-cert
	Name string `yaml:"name" default:"must be said"`
	// Where it is: https:, file: or taxii:.
	//
	//	https://cert.example/indicators.json
	URL string `yaml:"url" default:"must be said"`
	// Either taxii (a TAXII 2.1 server, API root or collection) or misp (a
	// folder with a manifest.json); any other list is known by its content.
	Kind string `yaml:"kind" default:"a list in any format of docs/indicators.md"`
	// The licence its publisher states.
	Licence string `yaml:"licence" default:"not known"`
	// To whom what does not say it itself may be shown, as a label of the
	// Traffic Light Protocol.
	//
	//	amber
	TLP string `yaml:"tlp" default:"as the list says; exported as amber"`
	// Hours from one fetch to the next.
	EveryHours int `yaml:"every_hours"`
	// Megabytes that it may have at most, also once unpacked.
	MaxMB int `yaml:"max_mb"`
	// The SHA-256 that the file must have, for one that never changes.
	SHA256 string `yaml:"sha256" default:"any"`
	// The minisign public key whose signature the file must have.
	Key string `yaml:"key" default:"no signature is asked for"`
	// Where the signature is.
	Signature string `yaml:"signature" default:"url with .minisig behind it"`
	// Who asks; with it the secret is a password, without a bearer token.
	User string `yaml:"user" default:"none"`
	// The file that holds the secret.
	SecretFile string `yaml:"secret_file" default:"no secret is sent"`
	// The header that carries the secret, where the server has one of its own.
	Header string `yaml:"header" default:"Authorization"`
	// Certificates in PEM that are believed beside the system's.
	CAFile string `yaml:"ca_file" default:"the system's alone"`
	// Also ask over http:, which anybody on the way can read and change.
	AllowHTTP bool `yaml:"allow_http"`
}

type flowExports struct {
	// Address and UDP port to listen on.
	//
	//	"[::]:2055"
	Listen string `yaml:"listen" default:"no exports are received"`
	// The exporters that are believed, as prefixes or single addresses; what
	// others send is counted and dropped.
	//
	//	[10.1.0.1, 10.1.0.2]
	Allow []string `yaml:"allow" default:"must be said with listen"`
}

// retention is how long records are kept.
type retention struct {
	// Where records are kept: a ClickHouse database, for those whom one
	// machine no longer holds. Several hosts need ?cluster=NAME. Flag
	// --history.
	//
	//	clickhouse://testudo@db1:9000,db2:9000/testudo?cluster=testudo
	Store string `yaml:"store" default:"files in the state folder"`
	// Days for which records are kept after they were seen; 0 for ever. What
	// an open incident rests on is kept until it is closed.
	KeepDays int `yaml:"keep_days"`
	// Days after which names, mail addresses, URLs and heads of content are
	// taken out of the records; 0 for as long as the records.
	KeepNamesDays int `yaml:"keep_names_days"`
	// Gigabytes that records may take; the oldest traffic goes first. 0 for
	// no limit.
	MaxGB int `yaml:"max_gb"`
}

type records struct {
	// The folder they are written to.
	//
	//	/var/log/testudo
	Dir string `yaml:"dir" default:"no records are written"`
	// Either tsv or json.
	Format string `yaml:"format"`
}

type budgets struct {
	// Live conversations.
	Conns int `yaml:"conns"`
	// Bytes held to put TCP streams in order.
	Streams int `yaml:"streams"`
	// Bytes held to join IP fragments.
	Fragments int `yaml:"fragments"`
	// How many things of each sort each detector, and the annotator, may
	// remember.
	Entries int `yaml:"entries"`
	// Claims held for the incidents.
	Sightings int `yaml:"sightings"`
}

// defaultLocal are the networks that are somebody's own by their nature.
var defaultLocal = []string{
	"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", // RFC 1918
	"100.64.0.0/10",               // RFC 6598
	"fc00::/7",                    // RFC 4193
	"169.254.0.0/16", "fe80::/10", // link-local
}

func defaultConfig() config {
	b := engine.DefaultBudgets()
	return config{
		CheckpointMinutes: 5, SensorSocket: "/run/testudo/sensor.sock", User: "testudo",
		Records: records{Format: "tsv"},
		History: retention{KeepDays: 90, MaxGB: 20},
		Budgets: budgets{b.Conns, b.Streams, b.Fragments, b.Entries, b.Sightings},
	}
}

// defaultIface is an interface of which only the name is said.
func defaultIface() iface {
	return iface{RingMB: 64, SnapLength: 65535, Rings: 1, Promiscuous: true}
}

// defaultFeed is a feed of which only name and address are said.
func defaultFeed() feedSource { return feedSource{EveryHours: 24, MaxMB: 256} }

// stateDir returns the state folder: the key dir, else what the environment
// says, else the customary place.
func (c config) stateDir() string {
	if c.Dir != "" {
		return c.Dir
	}
	if dir := os.Getenv("TESTUDO_DIR"); dir != "" {
		return dir
	}
	if os.Geteuid() == 0 {
		return "/var/lib/testudo"
	}
	if dir := os.Getenv("XDG_STATE_HOME"); dir != "" {
		return filepath.Join(dir, "testudo")
	}
	return filepath.Join(os.Getenv("HOME"), ".local", "state", "testudo")
}

// nearest returns the name with the least edit distance to word.
func nearest(word string, names []string) string {
	best, least := "", 1<<30
	for _, n := range names {
		if d := distance(word, n); d < least {
			best, least = n, d
		}
	}
	return best
}

// distance is Levenshtein's.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(diagonal+cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// prefixes parses networks; a bare address is a network of one.
func prefixes(words []string) ([]netip.Prefix, error) {
	var out []netip.Prefix
	for _, w := range words {
		for part := range strings.SplitSeq(w, ",") {
			part = strings.TrimSpace(part)
			if part == "" {
				continue
			}
			p, err := netip.ParsePrefix(part)
			if err != nil {
				a, err2 := netip.ParseAddr(part)
				if err2 != nil {
					return nil, fmt.Errorf("%q: want a network such as 192.0.2.0/24, or one address", part)
				}
				p = netip.PrefixFrom(a, a.BitLen())
			}
			if p.Addr().Is4In6() {
				if p.Bits() < 96 {
					return nil, fmt.Errorf("%q: want IPv4 without the ::ffff: before it", part)
				}
				p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
			}
			out = append(out, p.Masked())
		}
	}
	return out, nil
}

func (b budgets) engine() engine.Budgets {
	return engine.Budgets{Conns: b.Conns, Streams: b.Streams, Fragments: b.Fragments, Entries: b.Entries, Sightings: b.Sightings}
}

// memory is about what the budgets and rings allow to be used at most, in
// bytes, with that many detectors. The sizes of single things are measured
// ones, rounded up.
func (c config) memory(detectors int) int64 {
	const program, conn, entry, sighting = 64 << 20, 600, 320, 2 << 10
	b := c.Budgets
	n := int64(program) + int64(b.Conns)*conn + int64(b.Streams) + int64(b.Fragments) +
		int64(b.Entries)*int64(detectors+1)*entry + int64(b.Sightings)*sighting
	for _, f := range c.Interfaces {
		n += int64(f.RingMB) << 20
	}
	return n
}
