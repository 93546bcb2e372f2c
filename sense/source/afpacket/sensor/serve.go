//go:build linux

package sensor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/testudo-shield/testudo/sense/source/afpacket"
)

// server is the state of one Serve.
type server struct {
	cfg   Config
	mu    sync.Mutex
	inUse int // sockets handed out on open connections
	peers map[*net.UnixConn]bool
}

// Serve answers requests at cfg.Path until ctx ends. It opens sockets with
// the rights of this process, and locks each to its filter and interface.
func Serve(ctx context.Context, cfg Config) error {
	if cfg.MaxSockets <= 0 {
		cfg.MaxSockets = maxSockets
	}
	if cfg.Log == nil {
		cfg.Log = func(string) {}
	}
	l, err := listen(cfg)
	if err != nil {
		return err
	}
	if cfg.Ready != nil {
		cfg.Ready()
	}
	s := &server{cfg: cfg, peers: map[*net.UnixConn]bool{}}
	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer stop()
	var serving sync.WaitGroup
	for {
		c, err := l.AcceptUnix()
		if err != nil {
			_ = l.Close()
			s.hangUp()
			serving.Wait()
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("sensor %s: %w", cfg.Path, err)
		}
		serving.Go(func() { s.serve(c) })
	}
}

// listen makes the socket, in place of one that a sensor left behind.
func listen(cfg Config) (*net.UnixListener, error) {
	if info, err := os.Lstat(cfg.Path); err == nil && info.Mode().Type() == fs.ModeSocket {
		if c, err := net.DialTimeout("unixpacket", cfg.Path, requestTimeout); err == nil {
			_ = c.Close()
			return nil, fmt.Errorf("sensor %s: another sensor listens there", cfg.Path)
		}
		_ = os.Remove(cfg.Path)
	}
	l, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: cfg.Path, Net: "unixpacket"})
	if err != nil {
		return nil, fmt.Errorf("sensor: %w", err)
	}
	err = os.Chmod(cfg.Path, 0o660)
	if err == nil && len(cfg.GIDs) > 0 {
		err = os.Chown(cfg.Path, -1, cfg.GIDs[0])
	}
	if err != nil {
		_ = l.Close()
		return nil, fmt.Errorf("sensor: %w", err)
	}
	return l, nil
}

// admit keeps the number of connections bounded.
func (s *server) admit(c *net.UnixConn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.peers) >= s.cfg.MaxSockets+idlePeers {
		return false
	}
	s.peers[c] = true
	return true
}

func (s *server) leave(c *net.UnixConn) {
	s.mu.Lock()
	delete(s.peers, c)
	s.mu.Unlock()
	_ = c.Close()
}

func (s *server) hangUp() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.peers {
		_ = c.Close()
	}
}

// serve answers one connection's request and then waits until the sockets
// are no longer in use.
func (s *server) serve(c *net.UnixConn) {
	if !s.admit(c) {
		s.cfg.Log("sensor: too many connections; one more was closed")
		_ = c.Close()
		return
	}
	defer s.leave(c)
	peer, err := peerOf(c)
	if err != nil || !slices.Contains(s.cfg.UIDs, int(peer.Uid)) && !slices.Contains(s.cfg.GIDs, int(peer.Gid)) {
		s.cfg.Log(fmt.Sprintf("sensor: refused %s, which is not among those who may ask", describe(peer)))
		return
	}
	_ = c.SetDeadline(time.Now().Add(requestTimeout))
	message := make([]byte, maxMessage+1)
	n, err := c.Read(message)
	if err != nil || n == 0 {
		return // it went away without a word
	}
	spec, err := parseRequest(message[:n], s.cfg.Interfaces)
	if err != nil {
		s.cfg.Log(fmt.Sprintf("sensor: refused %s: %v", describe(peer), err))
		return
	}
	if err := s.hand(c, spec); err != nil {
		s.cfg.Log(fmt.Sprintf("sensor: %s asked for %s: %v", describe(peer), spec.Interface, err))
		_ = send(c, refusal(err), nil)
		return
	}
	defer s.release(spec.Rings)
	s.cfg.Log(fmt.Sprintf("sensor: handed %d packet sockets on %s to %s", spec.Rings, spec.Interface, describe(peer)))
	_ = c.SetDeadline(time.Time{})
	_, _ = c.Read(message[:1]) // it ends, or says what nobody asked for
}

// hand opens the sockets and passes them on. They count until release.
func (s *server) hand(c *net.UnixConn, spec afpacket.Spec) error {
	s.mu.Lock()
	full := s.inUse+spec.Rings > s.cfg.MaxSockets
	if !full {
		s.inUse += spec.Rings
	}
	s.mu.Unlock()
	if full {
		return fmt.Errorf("the sensor hands out %d sockets at most", s.cfg.MaxSockets)
	}
	opened, err := afpacket.OpenSockets(spec)
	if err == nil {
		_ = c.SetDeadline(time.Now().Add(requestTimeout))
		err = send(c, answer{Index: opened.Index}, opened.FDs)
		for _, fd := range opened.FDs {
			_ = unix.Close(fd)
		}
	}
	if err != nil {
		s.release(spec.Rings)
	}
	return err
}

func (s *server) release(n int) {
	s.mu.Lock()
	s.inUse -= n
	s.mu.Unlock()
}

func send(c *net.UnixConn, a answer, fds []int) error {
	message, err := json.Marshal(a)
	if err != nil {
		return err
	}
	var rights []byte
	if len(fds) > 0 {
		rights = unix.UnixRights(fds...)
	}
	_, _, err = c.WriteMsgUnix(message, rights, nil)
	return err
}

// peerOf asks the kernel who is at the other end.
func peerOf(c *net.UnixConn) (*unix.Ucred, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, err
	}
	var peer *unix.Ucred
	ctl := raw.Control(func(fd uintptr) {
		peer, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	return peer, errors.Join(ctl, err)
}

func describe(peer *unix.Ucred) string {
	if peer == nil {
		return "an unknown process"
	}
	return fmt.Sprintf("process %d of user %d, group %d", peer.Pid, peer.Uid, peer.Gid)
}
