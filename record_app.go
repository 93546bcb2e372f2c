package testudo

import (
	"net/netip"
	"time"
)

// DNS is one question with its answer, or one without (dns.log). An answer
// whose question was not seen is a record too.
type DNS struct {
	Meta
	TransID    uint16          `log:"trans_id"`
	RTT        time.Duration   `log:"rtt"` // 0 when unanswered
	Query      string          `log:"query"`
	QClass     uint16          `log:"qclass"`
	QClassName string          `log:"qclass_name"`
	QType      uint16          `log:"qtype"`
	QTypeName  string          `log:"qtype_name"`
	RCode      uint16          `log:"rcode"`
	RCodeName  string          `log:"rcode_name"`
	AA         bool            `log:"AA"`
	TC         bool            `log:"TC"`
	RD         bool            `log:"RD"`
	RA         bool            `log:"RA"`
	Z          uint16          `log:"Z"`
	Answers    []string        `log:"answers"` // names, addresses, "TXT 5 hello"
	TTLs       []time.Duration `log:"TTLs"`
	Rejected   bool            `log:"rejected"`

	Answered  bool         // a response was seen
	Addresses []netip.Addr // the addresses among the answers
	// Sizes of the two messages in bytes, and the bytes of name and of
	// record data that could carry something: labels left of the registered
	// domain, TXT, NULL, CNAME and MX data.
	QuerySize, ReplySize int
	AnswerData           int
	Additional           int // records in the additional section, OPT apart
}

// Log returns "dns".
func (*DNS) Log() string { return "dns" }

// TLS is one handshake (ssl.log), over TCP or QUIC.
type TLS struct {
	Meta
	Version     string   `log:"version"` // "TLSv12"
	Cipher      string   `log:"cipher"`
	Curve       string   `log:"curve"`
	ServerName  string   `log:"server_name"`
	Resumed     bool     `log:"resumed"`
	LastAlert   string   `log:"last_alert"`
	ALPN        string   `log:"next_protocol"`
	Established bool     `log:"established"`
	Chain       []string `log:"cert_chain_fps"` // SHA-256, the server's first
	Subject     string   `log:"subject"`
	Issuer      string   `log:"issuer"`
	JA3         string   `log:"ja3"`
	JA3S        string   `log:"ja3s"`
	JA4         string   `log:"ja4"`

	ClientALPN               []string // what the client offered
	ClientHello, ServerHello bool     // which of the two were seen
	QUIC                     bool
	ECH                      bool  // encrypted client hello offered
	Leaf                     *X509 // the server's own certificate where it was in clear, else nil
	// ServerPrint is our own fingerprint of the server's side: version,
	// cipher, extensions in order and the shape of its certificate.
	ServerPrint string
	// JA4Again is the JA4 of the client's second hello, sent because the
	// server asked for other parameters; empty without one.
	JA4Again string
}

// Log returns "ssl".
func (*TLS) Log() string { return "ssl" }

// ClientPrint returns the client's fingerprint, JA4 where it was taken, else
// JA3; empty for neither.
func (t *TLS) ClientPrint() string {
	if t.JA4 != "" {
		return t.JA4
	}
	return t.JA3
}

// X509 is one certificate (x509.log). UID is that of the conn that showed it.
type X509 struct {
	Meta
	Fingerprint string   `log:"fingerprint"` // SHA-256 of the DER bytes
	Version     int      `log:"certificate.version"`
	Serial      string   `log:"certificate.serial"`
	Subject     string   `log:"certificate.subject"`
	Issuer      string   `log:"certificate.issuer"`
	NotBefore   Time     `log:"certificate.not_valid_before"`
	NotAfter    Time     `log:"certificate.not_valid_after"`
	KeyAlg      string   `log:"certificate.key_alg"`
	SigAlg      string   `log:"certificate.sig_alg"`
	KeyType     string   `log:"certificate.key_type"`
	KeyLength   int      `log:"certificate.key_length"`
	Names       []string `log:"san.dns"`
	CA          bool     `log:"basic_constraints.ca"`
	HostCert    bool     `log:"host_cert"`
	ClientCert  bool     `log:"client_cert"`

	SelfSigned bool   // signed by its own key
	KeyPrint   string // SHA-256 of the public key: survives a renewed certificate
	Extensions int
}

// Log returns "x509".
func (*X509) Log() string { return "x509" }

// QUIC is one QUIC conversation's start (quic.log).
type QUIC struct {
	Meta
	Version        string `log:"version"`
	InitialDCID    string `log:"client_initial_dcid"`
	ClientSCID     string `log:"client_scid"`
	ServerSCID     string `log:"server_scid"`
	ServerName     string `log:"server_name"`
	ClientProtocol string `log:"client_protocol"`
	History        string `log:"history"`
}

// Log returns "quic".
func (*QUIC) Log() string { return "quic" }

// HTTP is one request with its response, or either alone (http.log).
type HTTP struct {
	Meta
	Depth       int      `log:"trans_depth"`
	Method      string   `log:"method"`
	Host        string   `log:"host"`
	URI         string   `log:"uri"`
	Referrer    string   `log:"referrer"`
	Version     string   `log:"version"`
	UserAgent   string   `log:"user_agent"`
	Origin      string   `log:"origin"`
	RequestLen  int64    `log:"request_body_len"`
	ResponseLen int64    `log:"response_body_len"`
	Status      int      `log:"status_code"`
	StatusMsg   string   `log:"status_msg"`
	Username    string   `log:"username"`
	Proxied     []string `log:"proxied,set"`
	OrigMIME    []string `log:"orig_mime_types"` // by content
	RespMIME    []string `log:"resp_mime_types"`

	HasRequest, HasResponse         bool
	RequestType, ResponseType       string // Content-Type as claimed
	Server                          string // the response's Server header
	FileName                        string // from Content-Disposition
	RequestHeaders                  string // names in order, lower case, comma-joined: the client's shape
	ResponseHeaders                 string
	CookieLen                       int
	RequestEntropy, ResponseEntropy float64 // bits a byte over the first 4096 body bytes; 0 without a body
	RequestText, ResponseText       float64 // printable share of the same
	RequestHead, ResponseHead       string  // first 64 body bytes as they are; foreign, never print raw
	ResponseDone                    Time    // when the response ended, 0 if it did not
}

// Log returns "http".
func (*HTTP) Log() string { return "http" }

// SSH is one conversation's start and what its sizes say about log-in (ssh.log).
type SSH struct {
	Meta
	Version        int    `log:"version"`
	AuthSuccess    *bool  `log:"auth_success"` // inferred; nil when it cannot be told
	AuthAttempts   int    `log:"auth_attempts"`
	Client         string `log:"client"`
	Server         string `log:"server"`
	CipherAlg      string `log:"cipher_alg"`
	MACAlg         string `log:"mac_alg"`
	CompressionAlg string `log:"compression_alg"`
	KexAlg         string `log:"kex_alg"`
	HostKeyAlg     string `log:"host_key_alg"`
	HASSH          string `log:"hassh"`
	HASSHServer    string `log:"hasshServer"`

	// Shell says that, after log-in, small packets went back and forth as
	// when a person types; Reverse that the keys were struck on resp's side.
	Shell, Reverse bool
}

// Log returns "ssh".
func (*SSH) Log() string { return "ssh" }

// SMTP is one message, or a session without one (smtp.log).
type SMTP struct {
	Meta
	Depth          int      `log:"trans_depth"`
	Helo           string   `log:"helo"`
	MailFrom       string   `log:"mailfrom"`
	RcptTo         []string `log:"rcptto,set"`
	Date           string   `log:"date"`
	From           string   `log:"from"`
	To             []string `log:"to,set"`
	ReplyTo        string   `log:"reply_to"`
	MsgID          string   `log:"msg_id"`
	Subject        string   `log:"subject"`
	XOriginatingIP string   `log:"x_originating_ip"`
	LastReply      string   `log:"last_reply"`
	UserAgent      string   `log:"user_agent"`
	TLS            bool     `log:"tls"`

	Auth            string // mechanism used, empty for none
	User            string // the account where AUTH was in clear
	AuthFailed      int    // refused log-ins
	AuthOK          bool
	BodyLen         int64
	Attachments     []string // file names
	AttachmentTypes []string // by content of the first decoded bytes
	BodyHead        string   // first 512 bytes of the first text part, decoded; foreign
	HTML            bool
}

// Log returns "smtp".
func (*SMTP) Log() string { return "smtp" }

// FTP is one command worth keeping with its reply (ftp.log).
type FTP struct {
	Meta
	User      string     `log:"user"`
	Password  string     `log:"password"` // always "<hidden>" unless anonymous
	Command   string     `log:"command"`
	Arg       string     `log:"arg"`
	MIME      string     `log:"mime_type"`
	FileSize  int64      `log:"file_size"`
	ReplyCode int        `log:"reply_code"`
	ReplyMsg  string     `log:"reply_msg"`
	Passive   bool       `log:"data_channel.passive"`
	DataOrig  netip.Addr `log:"data_channel.orig_h"`
	DataResp  netip.Addr `log:"data_channel.resp_h"`
	DataPort  uint16     `log:"data_channel.resp_p,port"`
}

// Log returns "ftp".
func (*FTP) Log() string { return "ftp" }

// ICMPEcho sums up the echo traffic of one conversation: ours alone, Zeek has
// no log for it. One is written a minute and at the end.
type ICMPEcho struct {
	Meta
	Requests, Replies        int
	RequestBytes, ReplyBytes int64   // payload
	Entropy                  float64 // of request payloads together, bits a byte, first 4096 bytes
	Distinct                 int     // different request payloads among the first 64
	Mismatch                 int     // replies whose payload is not their request's
	Unasked                  int     // replies without a request
	MaxSize                  int
	Text                     float64 // printable share
	Head                     string  // first 32 payload bytes; foreign
}

// Log returns "icmp_echo".
func (*ICMPEcho) Log() string { return "icmp_echo" }

// DHCP is one lease conversation's message (dhcp.log, a line a message).
type DHCP struct {
	Meta
	MessageTypes []string      `log:"msg_types"`
	MAC          string        `log:"mac"`
	HostName     string        `log:"host_name"`
	ClientFQDN   string        `log:"client_fqdn"`
	Domain       string        `log:"domain"`
	Requested    netip.Addr    `log:"requested_addr"`
	Assigned     netip.Addr    `log:"assigned_addr"`
	ClientAddr   netip.Addr    `log:"client_addr"`
	ServerAddr   netip.Addr    `log:"server_addr"`
	Lease        time.Duration `log:"lease_time"`
	Duration     time.Duration `log:"duration"`

	Routers, Resolvers []netip.Addr
	TransID            uint32
	VendorClass        string
}

// Log returns "dhcp".
func (*DHCP) Log() string { return "dhcp" }

// NTP is one time message (ntp.log).
type NTP struct {
	Meta
	Version   int           `log:"version"`
	Mode      int           `log:"mode"`
	Stratum   int           `log:"stratum"`
	Poll      time.Duration `log:"poll"`
	Precision time.Duration `log:"precision"`
	RootDelay time.Duration `log:"root_delay"`
	RootDisp  time.Duration `log:"root_disp"`
	RefID     string        `log:"ref_id"`
	RefTime   Time          `log:"ref_time"`
	OrgTime   Time          `log:"org_time"`
	RecTime   Time          `log:"rec_time"`
	XmtTime   Time          `log:"xmt_time"`
	NumExts   int           `log:"num_exts"`

	Size int // payload bytes; mode 6 and 7 answers amplify
}

// Log returns "ntp".
func (*NTP) Log() string { return "ntp" }
