package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/testudo-shield/testudo/engine"
	"github.com/testudo-shield/testudo/sense/source"
	"github.com/testudo-shield/testudo/sense/source/afpacket"
	"github.com/testudo-shield/testudo/sense/source/ipfix"
	"github.com/testudo-shield/testudo/shield"
)

// liveInputs are the open inputs of watch and serve.
type liveInputs struct {
	names   []string
	follow  []string         // the paths among them
	packets *afpacket.Reader // nil for none
	records *source.Together // nil for none
}

// openLive opens what the configuration names; sockets opens packet sockets,
// position is where the logs stood at the last checkpoint.
func openLive(c config, position []byte, sockets func(afpacket.Spec) (afpacket.Sockets, error), event func(string)) (*liveInputs, error) {
	in := &liveInputs{follow: c.Follow}
	records := &source.Together{}
	fail := func(err error) (*liveInputs, error) {
		in.records = records
		in.close()
		return nil, openError(err)
	}
	at, err := source.Positions(position)
	if err != nil {
		event("where the logs stood is not known any more: they are read from their beginning")
	}
	for kind, paths := range followed(c.Follow) {
		if len(paths) == 0 {
			continue
		}
		of := parts().Sources[kind]
		f, err := of.Follow(at[of.Name], paths...)
		if err != nil {
			return fail(err)
		}
		records.Add(of.Name, f)
		in.names = append(in.names, paths...)
	}
	if l := c.FlowExports; l.Listen != "" {
		allow, err := prefixes(l.Allow)
		if err != nil {
			return fail(err)
		}
		f, err := ipfix.Listen(l.Listen, ipfix.Options{Allow: allow})
		if errors.Is(err, ipfix.ErrNobody) {
			return nil, exitError{exitUsage, fmt.Errorf("%w, for example:  --exporters 10.1.0.0/16", err)}
		}
		if err != nil {
			return fail(err)
		}
		records.Add("flow exports", f)
		in.names = append(in.names, "flow exports on "+l.Listen)
	}
	var cfgs []afpacket.Config
	for _, i := range c.Interfaces {
		cfgs = append(cfgs, afpacket.Config{
			Interface: i.Name, Filter: i.Filter, RingBytes: i.RingMB << 20, SnapLen: i.SnapLength, Rings: max(1, i.Rings),
			Quiet: !i.Promiscuous, Event: event, Sockets: sockets,
		})
		in.names = append(in.names, i.Name)
	}
	if len(cfgs) > 0 {
		if in.packets, err = afpacket.Open(cfgs...); err != nil {
			return fail(err)
		}
	}
	if records.Len() > 0 {
		in.records = records
	}
	return in, nil
}

// followed sorts the paths of logs by the kind of source that reads them, by
// its place in the list of sources. A folder is one of Zeek logs, a file of
// JSON is Suricata's unless it looks otherwise.
func followed(paths []string) [][]string {
	kinds := parts().Sources
	all := make([][]string, len(kinds))
	for _, p := range paths {
		name := "zeek log"
		if info, err := os.Stat(p); strings.HasSuffix(p, ".json") && (err != nil || !info.IsDir()) {
			name = "suricata eve log"
		}
		for i, k := range kinds {
			if k.Name == name {
				all[i] = append(all[i], p)
			}
		}
	}
	return all
}

// followable refuses what this account cannot read, which would else look like
// a quiet network, and tells what is not there yet.
func (in *liveInputs) followable(event func(string)) error {
	for _, path := range in.follow {
		err := readable(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			event(path + " is not there yet: waiting for it")
		case errors.Is(err, fs.ErrPermission):
			return exitError{exitRights, fmt.Errorf("%w\nthe account that watches must be able to read it; watch, begun as root, goes on as another with:  --user NAME", err)}
		case err != nil:
			return exitError{exitInput, err}
		}
	}
	return nil
}

// readable tries a file, or a folder and the logs in it; of a folder one log
// that can be read is enough.
func readable(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.IsDir() {
		return err
	}
	names, err := f.Readdirnames(-1)
	if err != nil {
		return err
	}
	slices.Sort(names)
	var refused error
	for _, name := range names {
		if !strings.HasSuffix(name, ".log") {
			continue
		}
		log, err := os.Open(filepath.Join(path, name))
		if err == nil {
			return log.Close()
		}
		if refused == nil && errors.Is(err, fs.ErrPermission) {
			refused = err
		}
	}
	return refused
}

func (in *liveInputs) close() {
	if in.packets != nil {
		in.packets.Close()
	}
	if in.records != nil {
		in.records.Close()
	}
}

// openError turns what opening an input said into an exit code.
func openError(err error) error {
	if errors.Is(err, afpacket.ErrPermission) || errors.Is(err, os.ErrPermission) {
		return exitError{exitRights, err}
	}
	return exitError{exitInput, err}
}

// watch is the use case on these inputs.
func (in *liveInputs) watch(set shield.Settings) shield.Watch {
	w := shield.Watch{Parts: parts(), Settings: set, Inputs: in.names}
	if in.records != nil {
		w.Records = in.records
	}
	if in.packets != nil {
		w.Frames = in.packets
		w.Dropped = func() (n int64) {
			for _, s := range in.packets.Stats() {
				n += int64(s.Drops)
			}
			return n
		}
	}
	return w
}

// remembered reads the last checkpoint in dir, nil for none; why one was
// refused is told. The folder is the caller's alone until it calls unlock.
func remembered(dir string, event func(string)) (c *engine.Checkpoint, unlock func(), err error) {
	if dir == "" {
		return nil, func() {}, nil
	}
	if err := claimState(dir); err != nil {
		return nil, nil, err
	}
	if unlock, err = lockState(dir); err != nil {
		return nil, nil, err
	}
	c, err = shield.LoadCheckpoint(dir, time.Now())
	if err != nil {
		event(err.Error())
		return nil, unlock, nil
	}
	if c != nil {
		event("going on from what was known at " + c.At().Std().In(time.Local).Format("Mon 2 Jan 15:04:05"))
	}
	return c, unlock, nil
}

// stopWith ends packets when ctx does: an interface may give nothing for long.
func (in *liveInputs) stopWith(ctx context.Context) {
	if in.packets != nil {
		context.AfterFunc(ctx, func() { in.packets.Close() })
	}
}
