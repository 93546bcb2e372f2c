package blocker

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/testudo-shield/testudo/act/defusal"
)

// Config is what Serve needs.
type Config struct {
	Path  string // of the socket
	UIDs  []int  // who may ask; the socket is the first one's
	Gate  *Gate
	Ready func()
	Log   func(string) // what was asked, done and refused; a line each
}

// Serve answers orders at cfg.Path until ctx ends. What is in force then
// stays so until its end.
func Serve(ctx context.Context, cfg Config) error {
	l, err := listen(cfg)
	if err != nil {
		return err
	}
	if cfg.Ready != nil {
		cfg.Ready()
	}
	s := &server{cfg: cfg, peers: map[net.Conn]bool{}}
	defer context.AfterFunc(ctx, func() { _ = l.Close(); s.hangUp() })()
	var serving sync.WaitGroup
	defer serving.Wait()
	for {
		c, err := l.AcceptUnix()
		if err != nil {
			s.hangUp()
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("blocker %s: %w", cfg.Path, err)
		}
		if !s.admit(c) {
			_ = c.Close()
			continue
		}
		serving.Go(func() {
			defer s.leave(c)
			s.serve(ctx, c)
		})
	}
}

// listen makes the socket, in place of one that a blocker left behind, and
// gives it to the first of those who may ask.
func listen(cfg Config) (*net.UnixListener, error) {
	if info, err := os.Lstat(cfg.Path); err == nil && info.Mode().Type() == fs.ModeSocket {
		if c, err := net.DialTimeout("unix", cfg.Path, time.Second); err == nil {
			_ = c.Close()
			return nil, fmt.Errorf("blocker %s: another blocker listens there", cfg.Path)
		}
		_ = os.Remove(cfg.Path)
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: cfg.Path, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("blocker: %w", err)
	}
	err = os.Chmod(cfg.Path, 0o600)
	if err == nil && os.Geteuid() == 0 && len(cfg.UIDs) > 0 {
		err = os.Chown(cfg.Path, cfg.UIDs[0], -1)
	}
	if err != nil {
		_ = l.Close()
		return nil, fmt.Errorf("blocker: %w", err)
	}
	return l, nil
}

// server is the state of one Serve.
type server struct {
	cfg   Config
	mu    sync.Mutex // of peers
	peers map[net.Conn]bool
	order sync.Mutex // one order at a time
}

func (s *server) admit(c *net.UnixConn) bool {
	uid, err := peerOf(c)
	if err != nil || !slices.Contains(s.cfg.UIDs, uid) {
		s.cfg.Log(fmt.Sprintf("refused uid %d, which is not among those who may ask", uid))
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.peers) >= maxPeers {
		s.cfg.Log("too many connections; one more was closed")
		return false
	}
	s.peers[c] = true
	return true
}

func (s *server) leave(c net.Conn) {
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

// serve answers one connection's orders, each begun within any time and ended
// within patience.
func (s *server) serve(ctx context.Context, c net.Conn) {
	in := bufio.NewReader(c)
	for {
		_ = c.SetReadDeadline(time.Time{})
		if _, err := in.Peek(1); err != nil {
			return
		}
		_ = c.SetReadDeadline(time.Now().Add(patience))
		line, err := readLine(in)
		if err != nil {
			s.cfg.Log("a connection was closed: " + err.Error())
			return
		}
		out, err := json.Marshal(s.answer(ctx, line))
		if err != nil {
			return
		}
		_ = c.SetWriteDeadline(time.Now().Add(patience))
		if _, err := c.Write(append(out, '\n')); err != nil {
			return
		}
	}
}

var errLong = errors.New("an order was longer than is read")

func readLine(in *bufio.Reader) (line []byte, err error) {
	for {
		part, err := in.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case len(line) > maxMessage:
			return nil, errLong
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF) && len(line) > 0:
			return nil, io.ErrUnexpectedEOF
		default:
			return line, err
		}
	}
}

// answer carries out an order.
func (s *server) answer(ctx context.Context, line []byte) answer {
	// A field that is not known here may be what narrows a block.
	var o order
	in := json.NewDecoder(bytes.NewReader(line))
	in.DisallowUnknownFields()
	if err := in.Decode(&o); err != nil {
		return answer{Error: "an order that is no JSON of this version: " + err.Error()}
	}
	if len(o.Blocks) > maxBlocks || len(o.IDs) > maxBlocks {
		return answer{Error: fmt.Sprintf("an order names %d blocks at most", maxBlocks)}
	}
	s.order.Lock()
	defer s.order.Unlock()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var err error
	var there []defusal.InForce
	switch o.Op {
	case opPut:
		err = s.cfg.Gate.Put(ctx, o.Blocks)
		s.told(err, "put", len(o.Blocks), func(i int) string {
			b := &o.Blocks[i]
			return b.ID + " (" + b.Course.String() + ") for " + b.Incident + " by " + b.Author
		})
	case opTake:
		err = s.cfg.Gate.Take(ctx, o.IDs)
		s.told(err, "take", len(o.IDs), func(i int) string { return o.IDs[i] })
	case opInForce:
		there, err = s.cfg.Gate.InForce(ctx)
	default:
		err = fmt.Errorf("unknown operation %q", o.Op)
	}
	if err != nil {
		return failed(err)
	}
	return answer{InForce: there}
}

// told writes down what became of an order: each block that was put or taken,
// or why none was.
func (s *server) told(err error, what string, n int, name func(int) string) {
	if err != nil {
		s.cfg.Log(fmt.Sprintf("%s of %d not done: %v", what, n, err))
		return
	}
	for i := range n {
		s.cfg.Log(what + " " + name(i))
	}
}

// peerOf asks the kernel who is at the other end.
func peerOf(c *net.UnixConn) (uid int, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return -1, err
	}
	var peer *unix.Ucred
	var failed error
	if err = raw.Control(func(fd uintptr) { peer, failed = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) }); err == nil {
		err = failed
	}
	if err != nil {
		return -1, err
	}
	return int(peer.Uid), nil
}
