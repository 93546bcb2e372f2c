//go:build linux

package rights

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"slices"
	"strconv"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Drop makes the process the given user, if it is root, and takes all
// capabilities but keep from all its threads, for good: no program it runs
// can regain any (PR_SET_NO_NEW_PRIVS). Without a user it becomes testudo, or
// nobody if there is none. It then tries to open a packet socket and fails if
// that works though it should not. After an error the process has unknown
// rights and should end.
func Drop(owner string, keep ...Capability) error {
	root := os.Geteuid() == 0
	if root {
		if err := become(owner, len(keep) > 0); err != nil {
			return fmt.Errorf("drop rights: %w", err)
		}
	}
	err := limitAll(keep)
	if errors.Is(err, errors.ErrUnsupported) && root && len(keep) == 0 {
		// Built with cgo. But root that becomes somebody else loses every
		// capability in every thread (capabilities(7)), and verify sees it.
		err = nil
	}
	if err != nil {
		return fmt.Errorf("drop rights: %w", err)
	}
	return verify(keep)
}

// limitAll takes all capabilities but keep from all threads, for good.
func limitAll(keep []Capability) error {
	if err := prctl("clear ambient capabilities", unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL); err != nil && !errors.Is(err, unix.EINVAL) {
		return err
	}
	if err := limit(keep); err != nil {
		return err
	}
	return prctl("no new privileges", unix.PR_SET_NO_NEW_PRIVS, 1)
}

// become changes user and groups, in the one order that works.
func become(owner string, keeping bool) error {
	uid, gid, err := Find(owner)
	if err != nil {
		return err
	}
	if keeping {
		if err := prctl("keep capabilities", unix.PR_SET_KEEPCAPS, 1); err != nil {
			return err
		}
	}
	if err := syscall.Setgroups([]int{gid}); err != nil {
		return fmt.Errorf("set groups to %d: %w", gid, err)
	}
	if err := syscall.Setresgid(gid, gid, gid); err != nil {
		return fmt.Errorf("become group %d: %w", gid, err)
	}
	if err := syscall.Setresuid(uid, uid, uid); err != nil {
		return fmt.Errorf("become user %d: %w", uid, err)
	}
	return nil
}

// Find returns whom Drop becomes.
func Find(owner string) (uid, gid int, err error) {
	names := []string{owner}
	if owner == "" {
		names = []string{"testudo", "nobody"}
	}
	var u *user.User
	for _, name := range names {
		if u, err = user.Lookup(name); err == nil {
			break
		}
	}
	if err != nil {
		return 0, 0, fmt.Errorf("no such user to become: %w", err)
	}
	uid, err1 := strconv.Atoi(u.Uid)
	gid, err2 := strconv.Atoi(u.Gid)
	if err1 != nil || err2 != nil || uid == 0 {
		return 0, 0, fmt.Errorf("user %s, with id %s and group %s, is none to become", u.Username, u.Uid, u.Gid)
	}
	return uid, gid, nil
}

// prctl sets something for all threads.
func prctl(what string, option, arg uintptr) error {
	if _, _, errno := syscall.AllThreadsSyscall6(unix.SYS_PRCTL, option, arg, 0, 0, 0, 0); errno != 0 {
		return explain(what, errno)
	}
	return nil
}

// explain tells why a call for all threads failed.
func explain(what string, errno syscall.Errno) error {
	if errno == syscall.ENOTSUP {
		return fmt.Errorf("%s: this program was built with cgo, which cannot do that for all threads; build with CGO_ENABLED=0: %w", what, errors.ErrUnsupported)
	}
	return fmt.Errorf("%s: %w", what, errno)
}

// limit leaves every thread with the capabilities of keep and no other.
func limit(keep []Capability) error {
	head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	for _, c := range keep {
		data[c/32].Effective |= 1 << (c % 32)
		data[c/32].Permitted |= 1 << (c % 32)
	}
	_, _, errno := syscall.AllThreadsSyscall(unix.SYS_CAPSET, uintptr(unsafe.Pointer(&head)), uintptr(unsafe.Pointer(&data[0])), 0)
	if errno != 0 {
		return explain("set capabilities", errno)
	}
	return nil
}

// verify tries what must not work any more.
func verify(keep []Capability) error {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err == nil {
		_ = unix.Close(fd)
	}
	if may := err == nil; may && !slices.Contains(keep, NetRaw) {
		return errors.New("drop rights: this process can still open packet sockets after it gave that right up")
	}
	if syscall.Setuid(0) == nil {
		return errors.New("drop rights: this process can still become root after it gave that right up")
	}
	return nil
}
