// Package drill writes the synthetic exercise: a capture of a small
// ministry's network with its ordinary life and attacks upon it, and the truth
// about what was planted. The shield reads the capture like any other.
//
// Write promises the same bytes for the same Config on every machine: all
// chance comes from PCG generators named after what they decide, times are
// whole microseconds, and nothing depends on the order of a map. Every attack,
// machine and habit has a generator of its own, so that adding one leaves the
// decisions of the others as they were.
//
// Life is a schedule of actors (drill.go): each does something at a time and
// says when it acts next. What they do becomes frames in conv (tcp.go), talk
// (udp.go) and what they carry (tls.go, dns.go, http.go, ssh.go, smb.go); the
// tape (pcap.go) puts the frames in order of time. Attacks use the same actors
// and the same code as ordinary life: an implant is a poller like an updater.
//
// What the exercise proves is behaviour on this generator, not a field rate.
// README.md says what the world holds and what it lacks.
package drill
