package testudo

// Evidence is something a detector weighs that not every input can give:
// packets give all of it, the logs of other sensors leave some out.
type Evidence string

// The sorts of evidence, each worded to follow "without".
const (
	Bursts       Evidence = "bursts"                           // Conn.Pulses and Replies, interim reports
	Turns        Evidence = "turns"                            // Conn.Turns and First
	Bodies       Evidence = "bodies"                           // what stands in HTTP and mail, by shape and entropy
	Headers      Evidence = "header names"                     // in their order
	FirstBytes   Evidence = "first bytes"                      // Opaque
	Keys         Evidence = "certificate keys"                 // X509.KeyPrint
	Keystrokes   Evidence = "keystrokes"                       // SSH.Shell and Reverse, by sizes
	Logins       Evidence = "log-in outcomes"                  // SSH.AuthSuccess, SMTP.AuthFailed
	EchoPayloads Evidence = "echo payloads"                    // ICMPEcho
	FlagOrder    Evidence = "order of flags"                   // Conn.History as it happened
	ExactSizes   Evidence = "exact sizes"                      // Conn.OrigBytes, estimated from frames
	Certificates Evidence = "certificate digests"              // X509.Fingerprint
	Loads        Evidence = "packets outside of conversations" // Load
)
