package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/keep/history"
	"github.com/testudo-shield/testudo/keep/state"
	"github.com/testudo-shield/testudo/shield"
)

// remembers opens the memory in dir; with write also its history for writing,
// which one process at a time can do.
func (a *app) remembers(dir string, write bool) (*shield.Memory, error) {
	open, err := a.openHistory()
	if err != nil {
		return nil, err
	}
	if write {
		if err := claimState(dir); err != nil {
			return nil, err
		}
	}
	m, err := shield.OpenMemory(dir, version, open, write, now)
	return m, memoryError(err)
}

// memory opens the memory that a command which asks or changes it is about:
// that of --dir, or else the customary one.
func (a *app) memory() (*shield.Memory, error) {
	dir, err := a.memoryDir()
	if err != nil {
		return nil, err
	}
	return a.remembers(dir, false)
}

// openHistory is how the history that --history or the configuration names is
// opened.
func (a *app) openHistory() (shield.OpenHistory, error) {
	c, err := loadConfig(a.config)
	if err != nil {
		return nil, err
	}
	open, err := histories(cmp.Or(a.store, c.History.Store))
	if err != nil {
		return nil, exitError{exitUsage, fmt.Errorf("--history %w", err)}
	}
	return open, nil
}

// memoryDir is the state folder that --dir names, or else the customary one.
func (a *app) memoryDir() (string, error) {
	c, err := loadConfig(a.config)
	if a.dir != "" {
		c.Dir = a.dir
	}
	return c.stateDir(), err
}

// remembersThere opens for writing a memory that must be there.
func (a *app) remembersThere(dir string) (*shield.Memory, error) {
	m, err := a.remembers(dir, false)
	if err != nil {
		return nil, err
	}
	if err := m.Close(); err != nil {
		return nil, memoryError(err)
	}
	return a.remembers(dir, true)
}

func now() testudo.Time { return testudo.TimeOf(time.Now()) }

// memoryError gives an error of the memory the contract's exit code.
func memoryError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.As(err, new(exitError)):
		return err
	case errors.Is(err, shield.ErrNoMemory), errors.Is(err, state.ErrNotFound), errors.Is(err, state.ErrInvalid):
		return exitError{exitUsage, err}
	case errors.Is(err, state.ErrNewer), errors.Is(err, state.ErrForeign), errors.Is(err, history.ErrBusy), errors.Is(err, state.ErrBusy), errors.Is(err, state.ErrExists):
		return exitError{exitRefused, err}
	case errors.Is(err, os.ErrPermission):
		return exitError{exitRights, fmt.Errorf("%w; it belongs to another account: use sudo, or name a folder of your own with --dir", err)}
	}
	return exitError{exitInput, err}
}
