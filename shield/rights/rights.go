// Package rights gives up what a process no longer needs once its sockets are
// open: the root user, groups, capabilities, and the way to get any of them
// back. Nothing that parses foreign bytes should run before Drop has.
package rights

// Capability is a right of capabilities(7), by its number.
type Capability uint8

// The capabilities that a process of ours may keep.
const (
	NetAdmin Capability = 12 // change the firewall
	NetRaw   Capability = 13 // open packet sockets
)
