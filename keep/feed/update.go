package feed

import (
	"context"
	"fmt"
	"sync"

	"github.com/testudo-shield/testudo"
)

// Progress says how far one source is. Done comes once for each source.
type Progress struct {
	Source string
	Bytes  int64 // that came so far
	Done   bool
	Result Result // where Done
}

const reportEvery = 256 << 10 // bytes

// Update fetches the sources, a few at a time, each failing alone, and
// returns their results in the order of sources. It asks whatever Due says.
// Progress may be nil; it is called by one goroutine at a time.
func (s *Store) Update(ctx context.Context, sources []Source, now testudo.Time, progress func(Progress)) []Result {
	results := make([]Result, len(sources))
	u := updater{store: s, progress: progress}
	turns := make(chan struct{}, s.limits.parallel)
	var wg sync.WaitGroup
	seen := map[string]bool{}
	for i, src := range sources {
		if seen[src.Name] {
			err := fmt.Errorf("feed %s: two sources have this name; rename one", quoted(src.Name))
			results[i] = Result{Source: src.Name, Err: err, Why: err.Error()}
			u.say(Progress{Source: src.Name, Done: true, Result: results[i]})
			continue
		}
		seen[src.Name] = true
		turns <- struct{}{}
		wg.Go(func() {
			defer func() { <-turns }()
			results[i] = u.one(ctx, src, now)
		})
	}
	wg.Wait()
	return results
}

type updater struct {
	store    *Store
	mu       sync.Mutex
	progress func(Progress)
}

func (u *updater) one(ctx context.Context, src Source, now testudo.Time) Result {
	var all, said int64
	r, _ := u.store.fetch(ctx, src, now, func(n int64) {
		if all += n; all-said >= reportEvery {
			said = all
			u.say(Progress{Source: src.Name, Bytes: all})
		}
	})
	u.say(Progress{Source: src.Name, Bytes: all, Done: true, Result: r})
	return r
}

func (u *updater) say(p Progress) {
	if u.progress == nil {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.progress(p)
}
