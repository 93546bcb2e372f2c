//go:build linux

package sensor

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/testudo-shield/testudo/sense/source/afpacket"
)

// Sockets asks the sensor for the packet sockets of spec. It is what
// afpacket.Config.Sockets takes. It waits some seconds at most.
func (c Client) Sockets(spec afpacket.Spec) (afpacket.Sockets, error) {
	s, err := c.sockets(spec)
	if err != nil {
		return afpacket.Sockets{}, fmt.Errorf("sensor %s: %w", c.Path, err)
	}
	return s, nil
}

func (c Client) sockets(spec afpacket.Spec) (s afpacket.Sockets, err error) {
	dialled, err := net.DialTimeout("unixpacket", c.Path, requestTimeout)
	if err != nil {
		return s, fmt.Errorf("%w; is testudo sensor running, and may this user reach it?", err)
	}
	conn := dialled.(*net.UnixConn)
	defer func() {
		if err != nil {
			_ = conn.Close()
		}
	}()
	if err = c.trust(conn); err != nil {
		return s, err
	}
	request, err := json.Marshal(spec)
	if err != nil {
		return s, err
	}
	_ = conn.SetDeadline(time.Now().Add(answerTimeout))
	if _, err = conn.Write(request); err != nil {
		return s, fmt.Errorf("ask: %w", err)
	}
	if s, err = receive(conn, spec.Rings); err != nil {
		return s, err
	}
	_ = conn.SetDeadline(time.Time{})
	s.Done = conn.Close
	return s, nil
}

// trust refuses an answer from anybody but the sensor's user.
func (c Client) trust(conn *net.UnixConn) error {
	peer, err := peerOf(conn)
	if err != nil {
		return err
	}
	who := c.UIDs
	if len(who) == 0 {
		who = []int{0, os.Getuid()}
	}
	if !slices.Contains(who, int(peer.Uid)) {
		return fmt.Errorf("it is %s, whose sockets are not taken", describe(peer))
	}
	return nil
}

// receive reads the answer and takes the sockets that come with it.
func receive(conn *net.UnixConn, rings int) (s afpacket.Sockets, err error) {
	message, rights := make([]byte, 4096), make([]byte, unix.CmsgSpace(4*maxSockets))
	n, rn, flags, _, err := conn.ReadMsgUnix(message, rights)
	fds, broken := passed(rights[:max(0, rn)])
	defer func() {
		if err != nil {
			closeAll(fds)
		}
	}()
	var a answer
	switch {
	case err != nil:
		return s, fmt.Errorf("answer: %w", err)
	case n <= 0:
		return s, errors.New("it closed the connection without an answer; its log says why")
	case flags&(unix.MSG_TRUNC|unix.MSG_CTRUNC) != 0 || broken:
		return s, errors.New("its answer came in pieces")
	}
	if err = json.Unmarshal(message[:n], &a); err != nil {
		return s, fmt.Errorf("answer: %w", err)
	}
	if err = a.err(); err != nil {
		return s, err
	}
	if len(fds) != rings {
		return s, fmt.Errorf("it sent %d sockets, asked for were %d", len(fds), rings)
	}
	for _, fd := range fds {
		if domain, e := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN); e != nil || domain != unix.AF_PACKET {
			err = errors.New("it sent something else than packet sockets")
			return s, err
		}
	}
	return afpacket.Sockets{FDs: fds, Index: a.Index}, nil
}

// passed returns the descriptors that came with a message. All of them are
// open now, wanted or not.
func passed(rights []byte) (fds []int, broken bool) {
	messages, err := unix.ParseSocketControlMessage(rights)
	if err != nil {
		return nil, len(rights) > 0
	}
	for _, m := range messages {
		more, err := unix.ParseUnixRights(&m)
		broken = broken || err != nil
		fds = append(fds, more...)
	}
	return fds, broken
}

func closeAll(fds []int) {
	for _, fd := range fds {
		_ = unix.Close(fd)
	}
}
