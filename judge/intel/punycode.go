package intel

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// toASCII returns a name's ASCII form: labels with other letters in lower
// case and Punycode (RFC 5891, 4.4). Names are taken as they are composed:
// what a list writes with combining marks stays so.
func toASCII(name string) (string, bool) {
	if !utf8.ValidString(name) || len(name) > 4*253 {
		return "", false
	}
	labels := strings.Split(strings.NewReplacer("。", ".", "．", ".").Replace(name), ".")
	for i, l := range labels {
		if ascii(l) {
			continue
		}
		p, ok := punycode(strings.ToLower(l))
		if !ok {
			return "", false
		}
		labels[i] = "xn--" + p
	}
	return strings.Join(labels, "."), true
}

// punycode encodes one label of letters, digits and marks (RFC 3492, 6.3).
func punycode(label string) (string, bool) {
	const initialN, initialBias = 128, 72
	runes := []rune(label)
	if len(runes) > 59 {
		return "", false // longer than a label may be, and slow
	}
	var out []byte
	for _, r := range runes {
		if r < initialN {
			out = append(out, byte(r))
		} else if !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r) && r != '·' && r != '・' {
			return "", false
		}
	}
	basic := len(out)
	if basic > 0 {
		out = append(out, '-')
	}
	n, delta, bias, done := rune(initialN), 0, initialBias, basic
	for done < len(runes) {
		next := rune(unicode.MaxRune)
		for _, r := range runes {
			if r >= n && r < next {
				next = r
			}
		}
		delta += int(next-n) * (done + 1)
		n = next
		for _, r := range runes {
			if r < n {
				delta++
			}
			if r == n {
				out = appendDelta(out, delta, bias)
				bias = adapt(delta, done+1, done == basic)
				delta, done = 0, done+1
			}
		}
		delta++
		n++
	}
	return string(out), len(out) <= 59
}

// The parameters of RFC 3492, 5.
const base, tMin, tMax, skew, damp = 36, 1, 26, 38, 700

func appendDelta(out []byte, delta, bias int) []byte {
	const digits = "abcdefghijklmnopqrstuvwxyz0123456789"
	for k := base; ; k += base {
		t := min(max(k-bias, tMin), tMax)
		if delta < t {
			return append(out, digits[delta])
		}
		out = append(out, digits[t+(delta-t)%(base-t)])
		delta = (delta - t) / (base - t)
	}
}

func adapt(delta, points int, first bool) int {
	if delta /= 2; first {
		delta = delta * 2 / damp
	}
	delta += delta / points
	k := 0
	for ; delta > (base-tMin)*tMax/2; k += base {
		delta /= base - tMin
	}
	return k + (base-tMin+1)*delta/(delta+skew)
}
