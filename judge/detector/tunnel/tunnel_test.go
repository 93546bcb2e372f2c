package tunnel

import (
	"testing"

	"github.com/testudo-shield/testudo/judge/detector"
	"github.com/testudo-shield/testudo/judge/detector/detectortest"
)

func TestGolden(t *testing.T) { detectortest.Golden(t, Detector()) }

// TestSpread runs the traces of a tunnel over many domains, in their folder.
func TestSpread(t *testing.T) {
	t.Chdir("testdata/spread")
	detectortest.Golden(t, Spread())
}

func TestCarries(t *testing.T) {
	for left, want := range map[string]bool{
		"www":                              false,
		"mzxw6ytboi4dsmjv":                 false,
		"mzxw6ytboi4dsmjv.gq5vk29abazz2":   true,
		"static-content-distribution-east": false,
		"xkqzvtbnmrwhgdxkqzvtbnmrwhgd1234._domainkey":                             false,
		"xkqzvtbnmrwhgdxkqzvtbnmrwhgd1234xkqzvtbnmrwhgdxkqzvtbnmrwhgd1234._a":     true,
		"b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.0.0.0.0.1.2.3.4.origin6": false,
	} {
		if got := carries(left); got != want {
			t.Errorf("carries(%q) = %v", left, got)
		}
	}
}

func TestIsCoded(t *testing.T) {
	for name, want := range map[string]bool{
		"www":                               false,
		"mail-server-01":                    false,
		"kubernetes-default-service":        false,
		"ec2-52-41-12-99.us-west-2.compute": false,
		"static-content-distribution":       false,
		"20240307":                          false,
		"d41d8cd98f00b204e9800998ecf8427e":  true,
		"mzxw6ytboi4dsmjv":                  true,
		"gq5vk29aba":                        true,
		"xkqzvtbnmrwhgd":                    true,
		"\\x01\\xffabc":                     true,
		"3141592653589793238":               true,
		"":                                  false,
	} {
		if got := isCoded(name); got != want {
			t.Errorf("isCoded(%q) = %v", name, got)
		}
	}
}

func TestIsAddress(t *testing.T) {
	for left, want := range map[string]bool{
		"1.2.0.192.zen": true, "9.113.0.203": true, "300.2.0.192": false, "a.1.2.3": false, "www": false, "": false,
		"b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.0.0.0.0.1.2.3.4.origin6": true,
	} {
		if got := isAddress(left); got != want {
			t.Errorf("isAddress(%q) = %v", left, got)
		}
	}
}

func TestIsCodedAnswer(t *testing.T) {
	for text, want := range map[string]bool{
		"TXT 11 hello world":                           false,
		"TXT 30 v=spf1 include:_spf.example -all":      false,
		"TXT 60 v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQ":  false,
		"TXT 43 verification=Zk3jT0pQ8rLxW2vYb7NcHg5s": false,
		"TXT 24 0.103.8:26850:62:1678":                 false,
		"TXT 32 Zk3jT0pQ8rLxW2vYb7NcHg5sUo9eRt==":      true,
		"TXT 12 \\x00\\xff\\x10\\x9a":                  true,
		"mx1.partner.example":                          false,
		"mzxw6ytboi4dsmjv.deep.zone.example":           true,
		"edge.cdn.example":                             false,
	} {
		if got := isCodedAnswer(text, "zone.example"); got != want {
			t.Errorf("isCodedAnswer(%q) = %v", text, got)
		}
	}
}

func TestIsPattern(t *testing.T) {
	for head, want := range map[string]bool{
		"abcdefghijklmnopqrstuvwabcdefghi": true,
		"12345678\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f\x20\x21\x22\x23\x24\x25\x26\x27": true,
		"\x00\x00\x00\x00\x01\x9a\x33\x12\xcd\xcd\xcd\xcd\xcd\xcd\xcd\xcd\xcd\xcd\xcd\xcd\xcd\xcd\xcd\xcd":         true,
		"short":                              true,
		"root:x:0:0:root:/root:/bin/bash\nd": false,
	} {
		if got := isPattern(head); got != want {
			t.Errorf("isPattern(%q) = %v", head, got)
		}
	}
}

// TestSketch holds that counts of different things stay near the truth as the
// sketch fills, and beyond.
func TestSketch(t *testing.T) {
	for _, n := range []int{10, 100, 400, 1500, 20000} {
		var s sketch
		sum := 0.0
		for i := range n {
			sum += s.add(detector.NameKey(string(rune('a'+i%26)) + string(rune(i))))
		}
		if sum < 0.7*float64(n) || sum > 1.4*float64(n) {
			t.Errorf("%d different things count as %.0f", n, sum)
		}
	}
	var s sketch
	for i := range 1000 {
		s.add(detector.NameKey(string(rune('a' + i%10))))
	}
	if s.sum > 11 {
		t.Errorf("10 things asked 1000 times count as %.0f", s.sum)
	}
}
