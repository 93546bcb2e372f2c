package main

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"time"
)

// notifySystemd tells the service manager how it stands with this process:
// "READY=1", "RELOADING=1", "STOPPING=1", "WATCHDOG=1", "STATUS=…"
// (sd_notify(3)). Where nobody asked to be told it does nothing.
func notifySystemd(state string) error {
	name := os.Getenv("NOTIFY_SOCKET")
	if name == "" {
		return nil
	}
	if name[0] == '@' { // Linux's abstract names
		name = "\x00" + name[1:]
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		return fmt.Errorf("service manager: %w", err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte(state)); err != nil {
		return fmt.Errorf("service manager: %w", err)
	}
	return nil
}

// watchdogEvery is how often the service manager wants to be told
// "WATCHDOG=1": half of what it waits, 0 if it does not watch this process.
func watchdogEvery() time.Duration {
	if pid := os.Getenv("WATCHDOG_PID"); pid != "" && pid != strconv.Itoa(os.Getpid()) {
		return 0
	}
	us, err := strconv.ParseInt(os.Getenv("WATCHDOG_USEC"), 10, 64)
	if err != nil || us <= 0 {
		return 0
	}
	return time.Duration(us) * time.Microsecond / 2
}
