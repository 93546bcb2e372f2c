package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/sense/source/afpacket"
	"github.com/testudo-shield/testudo/sense/source/afpacket/sensor"
	"github.com/testudo-shield/testudo/shield"
	"github.com/testudo-shield/testudo/shield/rights"
	"github.com/testudo-shield/testudo/tell/report"
)

func (a *app) sensorCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "sensor",
		Short: "Open the interfaces for the service, which has no rights of its own",
		Long: "sensor holds the right to read packets, and nothing else: it opens packet sockets on the interfaces of the\n" +
			"configuration and hands them to the service over a Unix socket. It reads no packet itself. Only the account\n" +
			"of the key user is answered. The package runs it as testudo-sensor.service.",
		Example: "  testudo sensor --config /etc/testudo/testudo.yaml",
		Args:    cobra.NoArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return a.sensor(c.Context()) },
	}
}

func (a *app) sensor(ctx context.Context) error {
	c, err := loadConfig(a.config)
	if err != nil {
		return err
	}
	uid, _, err := rights.Find(c.User)
	if err != nil {
		return exitError{exitConfig, fmt.Errorf("user: %w", err)}
	}
	var names []string
	for _, i := range c.Interfaces {
		names = append(names, i.Name)
	}
	if len(names) == 0 {
		return exitError{exitConfig, errors.New("no interface is configured, so there is nothing to open; name one under interfaces, or run the service without the sensor to follow logs and flow exports")}
	}
	if os.Geteuid() == 0 {
		if err := rights.Drop(c.User, rights.NetRaw); err != nil {
			return exitError{exitRights, err}
		}
	}
	ready := func() { _ = notifySystemd("READY=1") }
	log := func(text string) {
		fmt.Fprintf(a.stderr, "testudo sensor: %s\n", terminal(strings.TrimPrefix(text, "sensor: ")))
	}
	defer onHangUp(func() {
		log("goes on with the interfaces it has; others are opened after:  systemctl restart testudo-sensor testudo")
	})()
	err = sensor.Serve(ctx, sensor.Config{Path: c.SensorSocket, UIDs: []int{uid}, Interfaces: names, Ready: ready, Log: log})
	if err != nil && ctx.Err() == nil {
		return openError(err)
	}
	return nil
}

// onHangUp calls f at every SIGHUP, until the function it returns is called.
func onHangUp(f func()) (stop func()) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGHUP)
	go func() {
		for range signals {
			f()
		}
	}()
	return func() { signal.Stop(signals); close(signals) }
}

func (a *app) serveCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "serve",
		Short: "Watch as a service, by the configuration, without any rights",
		Long: "serve watches what the configuration names until it is stopped. It has no rights: open interfaces come from\n" +
			"testudo sensor. Incidents go to stdout, one block each, and as JSON Lines to incidents.jsonl in the state\n" +
			"folder. SIGHUP reads the configuration again; one that is wrong is refused and the old one stays.",
		Example: "  testudo serve --config /etc/testudo/testudo.yaml",
		Args:    cobra.NoArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return a.serve(c.Context()) },
	}
}

func (a *app) serve(ctx context.Context) error {
	if os.Geteuid() == 0 {
		return exitError{exitRefused, errors.New("serve needs no rights and does not run as root; run it as the account of the key user, or use:  testudo watch")}
	}
	c, err := loadConfig(a.config)
	if err != nil {
		return err
	}
	if len(c.Interfaces)+len(c.Follow) == 0 && c.FlowExports.Listen == "" {
		return exitError{exitConfig, errors.New("nothing to watch is configured: name interfaces, follow or flow_exports")}
	}
	dir := c.stateDir()
	set, err := a.settings(c, judgeFlags{})
	if err != nil {
		return err
	}
	tell := &teller{app: a, flags: judgeFlags{progress: "none", plain: true}}
	past, unlock, err := remembered(dir, tell.event)
	if err != nil {
		return err
	}
	defer unlock()
	memory, err := a.remembers(dir, true)
	if err != nil {
		return err
	}
	defer memory.Close()
	memory.Keep = c.History.policy()
	if err := a.loadIntel(ctx, &set, c, judgeFlags{}, memory); err != nil {
		return err
	}
	file := &jsonLines{path: filepath.Join(dir, "incidents.jsonl")}
	client := sensor.Client{Path: c.SensorSocket}
	in, err := openLive(c, past.Position(), func(s afpacket.Spec) (afpacket.Sockets, error) { return client.Sockets(s) }, tell.event)
	if err != nil {
		return err
	}
	if err := in.followable(tell.event); err != nil {
		in.close()
		return err
	}
	in.stopWith(ctx)
	live := &reloaded{}
	live.take(set)
	w := in.watch(live.settings(set))
	w.Memory = memory
	w.Dir, w.Resume, w.CheckpointEvery = dir, past, time.Duration(c.CheckpointMinutes)*time.Minute
	w.RecordsDir, w.RecordsFormat = c.Records.Dir, c.Records.Format
	w.Event = tell.event
	w.State = tell.state
	w.Tell = func(ch report.Change, s *testudo.Summary) {
		tell.change(ch, s)
		if err := file.write(&ch, s); err != nil {
			tell.event(err.Error())
		}
	}
	know := &knowing{app: a, memory: memory, live: live, event: tell.event}
	know.set(c, set)
	defer know.keep(ctx)()
	defer a.onReload(c, know)()
	tell.event("watching " + strings.Join(in.names, ", "))
	_ = notifySystemd("READY=1")
	defer keepAlive(ctx)()
	res, err := w.Run(ctx)
	_ = notifySystemd("STOPPING=1")
	s := &res.Summary
	tell.event(fmt.Sprintf("stopped: %s and %s read, %s lost, %s known", counted(int(s.Packets), "packet"),
		counted(int(s.Records), "record"), counted(int(s.Dropped), "packet"), counted(len(res.Incidents), "incident")))
	if err != nil {
		return exitError{exitInput, err}
	}
	return nil
}

// keepAlive tells the service manager that the process lives, until the
// function it returns is called.
func keepAlive(ctx context.Context) func() {
	every := watchdogEvery()
	if every <= 0 {
		return func() {}
	}
	ctx, stop := context.WithCancel(ctx)
	go func() {
		t := time.NewTicker(every)
		defer t.Stop()
		for ctx.Err() == nil {
			_ = notifySystemd("WATCHDOG=1")
			select {
			case <-t.C:
			case <-ctx.Done():
			}
		}
	}()
	return stop
}

// reloaded is what may change while the service runs.
type reloaded struct {
	now atomic.Pointer[shield.Settings]
}

func (r *reloaded) take(s shield.Settings) { r.now.Store(&s) }

// settings returns s with its lists asked for anew each time.
func (r *reloaded) settings(s shield.Settings) shield.Settings {
	s.Match = func(rec testudo.Record) []testudo.Hit {
		if m := r.now.Load().Match; m != nil {
			return m(rec)
		}
		return nil
	}
	s.ListsNow = func() shield.Lists { return r.now.Load().Lists }
	s.IsShared = func(a netip.Addr, domain string) bool {
		is := r.now.Load().IsShared
		return is != nil && is(a, domain)
	}
	return s
}

// onReload reads the configuration again at every SIGHUP, until the function
// it returns is called.
func (a *app) onReload(c config, know *knowing) func() {
	tell := know.event
	return onHangUp(func() {
		_ = notifySystemd("RELOADING=1")
		next, changed, err := c.reload(a.config)
		if err == nil {
			var set shield.Settings
			if set, err = a.settings(next, judgeFlags{}); err == nil {
				err = a.loadIntel(context.Background(), &set, next, judgeFlags{}, know.memory)
			}
			if err == nil {
				know.set(next, set)
				c = next
			}
		}
		if err != nil {
			tell(err.Error())
		} else if len(changed) == 0 {
			tell("read again: nothing in the configuration has changed; lists are as they are in the files now")
		}
		for _, ch := range changed {
			if err == nil {
				tell(ch.String())
			}
		}
		_ = notifySystemd("READY=1")
	})
}

// jsonLines is a file that changes are added to; when it is long it is set
// aside once.
type jsonLines struct {
	mu   sync.Mutex
	path string
}

const longest = 64 << 20

func (j *jsonLines) write(c *report.Change, s *testudo.Summary) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if info, err := os.Stat(j.path); err == nil && info.Size() > longest {
		if err := os.Rename(j.path, j.path+".1"); err != nil {
			return err
		}
	}
	f, err := os.OpenFile(j.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o640)
	if err != nil {
		return fmt.Errorf("an incident could not be written down: %w", err)
	}
	size, serr := f.Seek(0, io.SeekEnd)
	if err = report.ChangeJSON(f, c, s); err != nil && serr == nil {
		_ = f.Truncate(size) // half a line would spoil the next one
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("an incident could not be written down: %w", err)
	}
	return nil
}
