package state

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// writeLock is the byte of the -shm file on which SQLite's writers lock.
const writeLock = "120"

// holder names the process that holds the write lock, as far as the kernel
// tells. The lock table is read instead of asking on the file itself: to
// close a file of ours would drop this process's own locks on it.
func (s *State) holder() string {
	const unknown = "a writer that cannot be named"
	var stat syscall.Stat_t
	if syscall.Stat(s.path+"-shm", &stat) != nil {
		return unknown
	}
	table, err := os.ReadFile("/proc/locks")
	if err != nil {
		return unknown
	}
	inode := ":" + strconv.FormatUint(stat.Ino, 10)
	for line := range strings.Lines(string(table)) {
		f := strings.Fields(line) // 1: POSIX ADVISORY WRITE 1234 fe:00:5678 120 120
		if len(f) == 8 && f[3] == "WRITE" && strings.HasSuffix(f[5], inode) && f[6] == writeLock && f[4] != "0" {
			return process(f[4])
		}
	}
	return unknown
}

func process(pid string) string {
	line, err := os.ReadFile("/proc/" + pid + "/cmdline")
	line = bytes.TrimSpace(bytes.ReplaceAll(line, []byte{0}, []byte{' '}))
	if err != nil || len(line) == 0 {
		return "process " + pid
	}
	return fmt.Sprintf("process %s (%.80q)", pid, line)
}
