package tunnel

import "strings"

// payload returns what of a name lies left of the zone.
func payload(name, zone string) string {
	if zone == "" || len(name) <= len(zone) {
		if zone == "" {
			return name
		}
		return ""
	}
	return name[:len(name)-len(zone)-1]
}

// isAddress tells whether the labels are an address turned round, as lists
// and origin look-ups ask: four numbers below 256, or 16 and more single hex
// digits.
func isAddress(left string) bool {
	numbers, nibbles := 0, 0
	for label := range strings.SplitSeq(left, ".") {
		n, ok := 0, label != "" && len(label) <= 3
		for i := 0; ok && i < len(label); i++ {
			ok = '0' <= label[i] && label[i] <= '9'
			n = n*10 + int(label[i]-'0')
		}
		if ok && n < 256 {
			numbers++
		}
		if len(label) == 1 && isHex(label[0]) {
			nibbles++
		}
		if numbers < 4 && !(ok && n < 256) && nibbles < 16 && len(label) != 1 {
			break
		}
	}
	return numbers >= 4 && nibbles < 4 || nibbles >= 16
}

func isHex(c byte) bool { return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' }

// isCoded tells whether labels look like encoded bytes rather than like words,
// host names or numbers: letters and digits change places often, or letters
// come without vowels. Names of machines and of services mostly do neither.
func isCoded(s string) bool {
	n, digits, letters, vowels, turns, run, longest := 0, 0, 0, 0, 0, 0, 0
	last := byte(0)
	for i := 0; i < len(s); i++ {
		c := s[i] | 0x20
		kind := byte(0)
		switch {
		case s[i] == '\\':
			return true // bytes that no host name has
		case '0' <= s[i] && s[i] <= '9':
			digits++
			kind, run = 'd', 0
		case 'a' <= c && c <= 'z':
			letters++
			kind = 'l'
			if strings.IndexByte("aeiouy", c) >= 0 {
				vowels++
				run = 0
			} else if run++; run > longest {
				longest = run
			}
		case s[i] == '+' || s[i] == '/':
			kind = 'd'
		default:
			continue
		}
		n++
		if last != 0 && kind != last {
			turns++
		}
		last = kind
	}
	switch {
	case n < 8:
		return false
	case letters == 0:
		return digits >= 16
	case turns >= max(4, (n+5)/6):
		return true
	case letters < 10:
		return false
	}
	return longest >= 7 || vowels*100 < letters*22
}

// isCodedAnswer tells whether the data of an answer, in the form of Zeek's
// dns.log, looks like encoded bytes: text without blanks and without a key
// before an equals sign, or a name that no one would type.
func isCodedAnswer(text, zone string) bool {
	rest, isText := strings.CutPrefix(text, "TXT ")
	if !isText {
		if rest, ok := strings.CutSuffix(text, "."+zone); ok {
			text = rest
		}
		return isCoded(text)
	}
	_, data, _ := strings.Cut(rest, " ")
	if i := strings.Index(data, " TXT "); i >= 0 {
		data = data[:i]
	}
	if len(data) < 8 {
		return false
	}
	if strings.Count(data, "\\x")*8 > len(data) {
		return true
	}
	end := strings.TrimRight(data, "=")
	for i := 0; i < len(end); i++ {
		c := end[i]
		if !(c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z' || c == '+' || c == '/' || c == '-' || c == '_') {
			return false
		}
	}
	return isCoded(end) || mixedCase(end)
}

// mixedCase tells whether small and capital letters change places often, as
// in base64.
func mixedCase(s string) bool {
	turns := 0
	for i := 1; i < len(s); i++ {
		if s[i]&0x40 != 0 && s[i-1]&0x40 != 0 && s[i]&0x20 != s[i-1]&0x20 {
			turns++
		}
	}
	return turns >= max(4, len(s)/6)
}

// seldom tells of types that few programs on ordinary hosts ask for and whose
// answers hold what the asked likes: TXT, NULL, CNAME, MX, KEY, SRV and those
// without a name. What browsers, mail and DNSSEC ask all day is not among them.
func seldom(kind uint16) bool {
	switch kind {
	case 1, 2, 6, 12, 24, 28, 33, 43, 46, 47, 48, 50, 51, 52, 64, 65, 255, 257:
		return false
	}
	return true
}

// isOrdinary tells of types whose answers are long without carrying anything:
// those of DNSSEC and of service bindings.
func isOrdinary(kind uint16) bool {
	switch kind {
	case 2, 6, 24, 43, 46, 47, 48, 50, 51, 52, 64, 65:
		return true
	}
	return false
}
