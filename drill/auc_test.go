package drill

import (
	"fmt"
	"io"
	"math"
	"net/netip"
	"slices"
	"sort"
	"strings"
	"testing"
)

// labelled is one value of a feature and whether an attack made it.
type labelled struct {
	v      float64
	attack bool
}

// auc is the area under the curve of one threshold on the values (the
// Mann-Whitney statistic, ties counted half).
func auc(xs []labelled) float64 {
	sort.Slice(xs, func(i, j int) bool { return xs[i].v < xs[j].v })
	var pos, neg, sum float64
	for i := 0; i < len(xs); {
		j, p, n := i, 0.0, 0.0
		for ; j < len(xs) && xs[j].v == xs[i].v; j++ {
			if xs[j].attack {
				p++
			} else {
				n++
			}
		}
		sum += p * (neg + n/2)
		pos, neg = pos+p, neg+n
		i = j
	}
	return sum / (pos * neg)
}

type pair struct{ a, b netip.Addr }

// exercise collects the flows of a drill by pair of machines.
type exercise struct {
	flows []Flow
	truth Truth
	users map[netip.Addr]map[netip.Addr]bool
}

func collect(t *testing.T, c Config) *exercise {
	t.Helper()
	x := &exercise{users: map[netip.Addr]map[netip.Addr]bool{}}
	c.OnFlow = func(f Flow) { x.flows = append(x.flows, f) }
	var err error
	if x.truth, err = Write(io.Discard, c); err != nil {
		t.Fatal(err)
	}
	slices.SortStableFunc(x.flows, func(a, b Flow) int { return int(a.Start - b.Start) })
	for _, f := range x.flows {
		m := x.users[f.Resp.Addr()]
		if m == nil {
			m = map[netip.Addr]bool{}
			x.users[f.Resp.Addr()] = m
		}
		m[f.Orig.Addr()] = true
	}
	return x
}

// perConn are the features of one conversation.
func (x *exercise) perConn() ([]string, func(f Flow, gap float64) []float64) {
	names := []string{
		"duration", "orig_bytes", "resp_bytes", "orig_pkts", "resp_pkts", "orig_ttl", "resp_ttl", "orig_port", "resp_port",
		"hour", "gap", "orig_mean_size", "resp_mean_size", "popularity", "orig_addr", "resp_addr",
	}
	num := func(a netip.Addr) float64 {
		b := a.As4()
		return float64(b[0])*(1<<24) + float64(b[1])*(1<<16) + float64(b[2])*256 + float64(b[3])
	}
	return names, func(f Flow, gap float64) []float64 {
		return []float64{
			float64(f.Last - f.Start), float64(f.OrigBytes), float64(f.RespBytes), float64(f.OrigPkts), float64(f.RespPkts),
			float64(f.OrigTTL), float64(f.RespTTL), float64(f.Orig.Port()), float64(f.Resp.Port()),
			float64(((f.Start - x.truth.Start.UnixMicro()) % day) / hour), gap,
			float64(f.OrigBytes) / float64(max(1, f.OrigPkts)), float64(f.RespBytes) / float64(max(1, f.RespPkts)),
			float64(len(x.users[f.Resp.Addr()])), num(f.Orig.Addr()), num(f.Resp.Addr()),
		}
	}
}

// judged is how well one threshold on one feature separates.
type judged struct {
	feature string
	auc     float64
	n       int
}

// way is which way a conversation goes and by what: attacks are compared
// with ordinary life of the same way, as every detector looks at it.
type way struct {
	proto      uint8
	from, into bool
}

func (x *exercise) way(f Flow) way {
	w := way{proto: f.Proto}
	for _, p := range x.truth.Local {
		w.from = w.from || p.Contains(f.Orig.Addr())
		w.into = w.into || p.Contains(f.Resp.Addr())
	}
	return w
}

// against returns the ordinary flows that go the ways of the attacks taken,
// and those attacks.
func (x *exercise) against(takes func(name string) bool) []Flow {
	ways := map[way]bool{}
	for _, f := range x.flows {
		if f.Attack != "" && takes(f.Attack) {
			ways[x.way(f)] = true
		}
	}
	var out []Flow
	for _, f := range x.flows {
		if ways[x.way(f)] && (f.Attack == "" || takes(f.Attack)) {
			out = append(out, f)
		}
	}
	return out
}

func (x *exercise) connAUCs(takes func(name string) bool) []judged {
	names, features := x.perConn()
	vals := make([][]labelled, len(names))
	lastSeen := map[pair]int64{}
	n := 0
	for _, f := range x.against(takes) {
		p := pair{f.Orig.Addr(), f.Resp.Addr()}
		gap := math.Inf(1)
		if l, ok := lastSeen[p]; ok {
			gap = float64(f.Start - l)
		}
		lastSeen[p] = f.Start
		if f.Attack != "" {
			n++
		}
		for i, v := range features(f, gap) {
			vals[i] = append(vals[i], labelled{v, f.Attack != ""})
		}
	}
	var out []judged
	for i, name := range names {
		out = append(out, judged{name, auc(vals[i]), n})
	}
	return out
}

// few is how many conversations a pair needs before a rhythm can be told.
const few = 4

// pairAUCs does the same for pairs of machines.
func (x *exercise) pairAUCs(takes func(name string) bool) []judged {
	type sums struct {
		starts   []int64
		up, down float64
		attacks  int
	}
	pairs, order := map[pair]*sums{}, []*sums(nil)
	for _, f := range x.against(takes) {
		k := pair{f.Orig.Addr(), f.Resp.Addr()}
		s := pairs[k]
		if s == nil {
			s = &sums{}
			pairs[k] = s
			order = append(order, s)
		}
		s.starts = append(s.starts, f.Start)
		s.up, s.down = s.up+float64(f.OrigBytes), s.down+float64(f.RespBytes)
		if f.Attack != "" {
			s.attacks++
		}
	}
	names := []string{"count", "mean_gap", "gap_cv", "mean_orig_bytes", "mean_resp_bytes", "up_share"}
	vals := make([][]labelled, len(names))
	n := 0
	for _, s := range order {
		if len(s.starts) < few {
			continue
		}
		attack := 2*s.attacks > len(s.starts) // not every client of the resolver
		if attack {
			n++
		}
		c := float64(len(s.starts))
		span := float64(s.starts[len(s.starts)-1] - s.starts[0])
		mean := span / (c - 1)
		var dev float64
		for i := 1; i < len(s.starts); i++ {
			d := float64(s.starts[i]-s.starts[i-1]) - mean
			dev += d * d
		}
		row := []float64{c, mean, math.Sqrt(dev/(c-1)) / max(1, mean), s.up / c, s.down / c, s.up / max(1, s.up+s.down)}
		for i, v := range row {
			vals[i] = append(vals[i], labelled{v, attack})
		}
	}
	var out []judged
	for i, name := range names {
		out = append(out, judged{name, auc(vals[i]), n})
	}
	return out
}

// A set of attacks to look at together.
type set struct {
	name  string
	takes func(string) bool
}

// byNature are the features by which a kind of attack shows itself whatever
// its author does; those scenarios are counted apart, as easy.
var byNature = map[string][]string{
	"exfil":       {"mean_orig_bytes", "mean_resp_bytes", "up_share"}, // volume is what a theft is
	"brute-force": {"resp_port"},                                      // few but administrators come to port 22
}

// identity are features that one attack has one value of; whether that is
// large or small among all is luck, so they count only for many together.
var identity = []string{"orig_addr", "resp_addr", "orig_ttl", "resp_ttl", "popularity"}

// No single threshold may tell the quiet attacks from ordinary life, else
// finding them proves nothing. Floods are counted apart: a flood is easy.
func TestNotEasy(t *testing.T) {
	seeds := uint64(4)
	if testing.Short() {
		seeds = 1
	}
	sums, counts := map[string]float64{}, map[string]float64{}
	var keys []string
	note := func(key string, v float64) {
		if counts[key] == 0 {
			keys = append(keys, key)
		}
		sums[key] += v
		counts[key]++
	}
	for seed := uint64(1); seed <= seeds; seed++ {
		x := collect(t, Showcase(seed))
		sets := []set{
			{"all", func(s string) bool { return s != "flood" && s != "reflection" }},
			{"story", func(s string) bool { return s == "portal-beacon" || s == "desk-beacon" || s == "break-in" }},
		}
		forms := map[string]string{}
		for _, a := range x.truth.Attacks {
			if a.Form != "syn-flood" && a.Form != "reflection-flood" {
				sets = append(sets, set{a.Name, func(s string) bool { return s == a.Name }})
				forms[a.Name] = a.Form
			}
		}
		for _, set := range sets {
			for i, js := range [][]judged{x.connAUCs(set.takes), x.pairAUCs(set.takes)} {
				for _, j := range js {
					form := forms[set.name]
					if form != "" && (slices.Contains(identity, j.feature) || slices.Contains(byNature[form], j.feature)) {
						continue
					}
					if form == "" {
						form = set.name
					}
					note(fmt.Sprintf("%s %s %s", form, [...]string{"conn", "pair"}[i], j.feature), j.auc)
				}
				t.Logf("seed %d %s n=%d:%s", seed, set.name, js[0].n, show(js))
			}
		}
	}
	for _, k := range keys {
		if testing.Short() && !strings.HasPrefix(k, "all") && !strings.HasPrefix(k, "story") {
			continue // one week holds too few of each kind
		}
		if v := sums[k] / counts[k]; v > 0.90 || v < 0.10 {
			t.Errorf("%s: one threshold gives an AUC of %.2f", k, v)
		}
	}
}

func show(js []judged) string {
	s := ""
	for _, j := range js {
		s += fmt.Sprintf(" %s=%.2f", j.feature, j.auc)
	}
	return s
}
