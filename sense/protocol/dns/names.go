package dns

import (
	"strconv"

	"github.com/testudo-shield/testudo/sense/protocol"
)

// Types whose data is looked into.
const (
	typeA      = 1
	typeNS     = 2
	typeMD     = 3
	typeMF     = 4
	typeCNAME  = 5
	typeSOA    = 6
	typeMB     = 7
	typeMG     = 8
	typeMR     = 9
	typeNULL   = 10
	typeWKS    = 11
	typePTR    = 12
	typeHINFO  = 13
	typeMX     = 15
	typeTXT    = 16
	typeAFSDB  = 18
	typeRT     = 21
	typeAAAA   = 28
	typeNB     = 32 // NetBIOS alone
	typeNBSTAT = 33 // NetBIOS alone
	typeSRV    = 33
	typeNAPTR  = 35
	typeKX     = 36
	typeDNAME  = 39
	typeOPT    = 41
	typeDS     = 43
	typeSSHFP  = 44
	typeRRSIG  = 46
	typeNSEC   = 47
	typeDNSKEY = 48
	typeNSEC3  = 50
	typeParam3 = 51
	typeSVCB   = 64
	typeHTTPS  = 65
	typeSPF    = 99
	typeCAA    = 257
)

// typeName returns Zeek's word for a query type.
func typeName(f *protocol.Flow, kind uint16) string {
	if isNetBIOS(f.ID) && (kind == typeNB || kind == typeNBSTAT) {
		if kind == typeNB {
			return "NB"
		}
		return "NBSTAT"
	}
	if int(kind) < len(lowTypes) && lowTypes[kind] != "" {
		return lowTypes[kind]
	}
	switch kind {
	case 249:
		return "TKEY"
	case 250:
		return "TSIG"
	case 251:
		return "IXFR"
	case 252:
		return "AXFR"
	case 253:
		return "MAILB"
	case 254:
		return "MAILA"
	case 255:
		return "*"
	case 256:
		return "URI"
	case typeCAA:
		return "CAA"
	case 32768:
		return "TA"
	case 32769:
		return "DLV"
	case 65281:
		return "WINS"
	case 65282:
		return "WINS-R"
	}
	return numbered(f, "query-", kind)
}

// className returns Zeek's word for a query class.
func className(f *protocol.Flow, class uint16) string {
	switch class {
	case 1:
		return "C_INTERNET"
	case 2:
		return "C_CSNET"
	case 3:
		return "C_CHAOS"
	case 4:
		return "C_HESIOD"
	case 254:
		return "C_NONE"
	case 255:
		return "C_ANY"
	}
	return numbered(f, "qclass-", class)
}

// rcodeName returns Zeek's word for a response code, the extended ones of
// RFC 6891 included.
func rcodeName(f *protocol.Flow, rcode uint16) string {
	if int(rcode) < len(rcodes) {
		return rcodes[rcode]
	}
	return numbered(f, "rcode-", rcode)
}

func numbered(f *protocol.Flow, prefix string, n uint16) string {
	var b [16]byte
	return f.Intern(strconv.AppendUint(append(b[:0], prefix...), uint64(n), 10))
}

var rcodes = [...]string{
	"NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "YXDOMAIN", "YXRRSET",
	"NXRRSet", "NOTAUTH", "NOTZONE", "unassigned-11", "unassigned-12", "unassigned-13",
	"unassigned-14", "unassigned-15", "BADVERS", "BADKEY", "BADTIME", "BADMODE", "BADNAME",
	"BADALG", "BADTRUNC", "BADCOOKIE",
}

// lowTypes are the types of the IANA registry up to 109.
var lowTypes = [...]string{
	1: "A", 2: "NS", 3: "MD", 4: "MF", 5: "CNAME", 6: "SOA", 7: "MB", 8: "MG", 9: "MR", 10: "NULL",
	11: "WKS", 12: "PTR", 13: "HINFO", 14: "MINFO", 15: "MX", 16: "TXT", 17: "RP", 18: "AFSDB",
	19: "X25", 20: "ISDN", 21: "RT", 22: "NSAP", 23: "NSAP-PTR", 24: "SIG", 25: "KEY", 26: "PX",
	27: "GPOS", 28: "AAAA", 29: "LOC", 30: "NXT", 31: "EID", 32: "NIMLOC", 33: "SRV", 34: "ATMA",
	35: "NAPTR", 36: "KX", 37: "CERT", 38: "A6", 39: "DNAME", 40: "SINK", 41: "OPT", 42: "APL",
	43: "DS", 44: "SSHFP", 45: "IPSECKEY", 46: "RRSIG", 47: "NSEC", 48: "DNSKEY", 49: "DHCID",
	50: "NSEC3", 51: "NSEC3PARAM", 52: "TLSA", 53: "SMIMEA", 55: "HIP", 56: "NINFO", 57: "RKEY",
	58: "TALINK", 59: "CDS", 60: "CDNSKEY", 61: "OPENPGPKEY", 62: "CSYNC", 63: "ZONEMD",
	64: "SVCB", 65: "HTTPS", 99: "SPF", 100: "UINFO", 101: "UID", 102: "GID", 103: "UNSPEC",
	104: "NID", 105: "L32", 106: "L64", 107: "LP", 108: "EUI48", 109: "EUI64",
}
