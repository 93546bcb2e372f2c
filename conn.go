package testudo

import (
	"net/netip"
	"time"
)

// Conn is both directions of one transport conversation, with Zeek's conn.log
// fields. Long conversations are also reported while they live: then Interim
// is set, the totals run from the start and Delta tells what came since the
// report before. The last report has Interim unset; its Delta is the rest.
type Conn struct {
	Meta
	Service     string        `log:"service"` // by content; several joined by a comma
	Duration    time.Duration `log:"duration"`
	OrigBytes   int64         `log:"orig_bytes"` // payload by sequence numbers
	RespBytes   int64         `log:"resp_bytes"`
	State       string        `log:"conn_state"` // S0 S1 SF REJ S2 S3 RSTO RSTR RSTOS0 RSTRH SH SHR OTH
	MissedBytes int64         `log:"missed_bytes"`
	History     string        `log:"history"`
	OrigPkts    int64         `log:"orig_pkts"`
	OrigIPBytes int64         `log:"orig_ip_bytes"`
	RespPkts    int64         `log:"resp_pkts"`
	RespIPBytes int64         `log:"resp_ip_bytes"`
	VLAN        uint16        `log:"vlan"`

	Interim bool
	Delta   Delta  // since the previous report of this conn
	Tunnel  string // what carried it: "gre", "vxlan"; empty for nothing

	// How the two ends took turns, for what is judged by shape alone.
	Turns   int   // how often the direction of payload changed
	First   int8  // who sent payload first: +1 orig, -1 resp, 0 nobody
	Pulses  Pulse // payload from orig after at least a second of silence
	Replies Pulse // the same for resp
}

// Log returns "conn".
func (*Conn) Log() string { return "conn" }

// Delta is what a report of a long conn adds to the one before.
type Delta struct {
	OrigBytes, RespBytes, OrigPkts, RespPkts int64
	Duration                                 time.Duration
}

// Pulse summarises bursts of payload that one end sent after a silence of a
// second or more (the first payload is a burst too): how many, the gaps
// between their starts, and their sizes.
type Pulse struct {
	Count             int
	GapMean, GapDev   float64 // seconds; the gaps between starts of bursts
	SizeMean, SizeDev float64 // payload bytes a burst
}

// Opaque is what the first bytes of a conversation look like when no protocol
// claimed it, so that it can still be judged.
type Opaque struct {
	Meta
	OrigLen, RespLen         int     // bytes looked at, at most 4096 each way
	OrigEntropy, RespEntropy float64 // bits a byte
	OrigText, RespText       float64 // share of printable bytes
	OrigHead, RespHead       string  // first 32 bytes as they are; foreign, never print raw
	First                    int8    // who sent payload first: +1 orig, -1 resp
	// Prompt names the shape of an interactive shell where one was seen:
	// "windows shell", "unix shell"; PromptBy is who showed it: +1 orig, -1 resp.
	Prompt   string
	PromptBy int8
	// Program names the kind of executable that went over the wire bare:
	// "pe", "elf", "macho", "script"; ProgramBy as PromptBy.
	Program   string
	ProgramBy int8
	// LengthPrefix says that both ends frame their messages by a leading
	// length, as command channels of one's own making do.
	LengthPrefix bool
}

// Log returns "opaque".
func (*Opaque) Log() string { return "opaque" }

// ARP is one address resolution message.
type ARP struct {
	Meta
	Operation      string     `log:"operation"` // "request", "reply"
	SenderMAC      string     `log:"src_mac"`
	TargetMAC      string     `log:"dst_mac"`
	SenderIP       netip.Addr `log:"orig_h"`
	TargetIP       netip.Addr `log:"resp_h"`
	EthernetSource string     // where the frame came from; differs in forged replies
	Gratuitous     bool
}

// Log returns "arp".
func (*ARP) Log() string { return "arp" }
