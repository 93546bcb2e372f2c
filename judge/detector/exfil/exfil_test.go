package exfil

import (
	"testing"

	"github.com/testudo-shield/testudo/judge/detector/detectortest"
)

func TestGolden(t *testing.T) { detectortest.Golden(t, Detector()) }

func TestListing(t *testing.T) {
	for text, want := range map[string]inventory{
		"":             {},
		"Hello there,": {},
		"User Name: anna<br>Computer Name: DESK<br/>OSFullName: W<br>CPU: x<hr>Password: y<br>": {pairs: 5, system: 4, secrets: 1},
		"<tr><td>user</td><td>: anna</td></tr><tr><td>IP</td>=<td>10.0.0.1</td></tr>":           {pairs: 2, system: 2},
		"Meeting: Monday\nPlace: room 4\nTopic: budget\n":                                       {pairs: 3},
		"https://shop.example/a=b\npassword:\n":                                                 {pairs: 1},
		"<unclosed":                                                                             {},
	} {
		if got := listing(text); got != want {
			t.Errorf("listing(%q) = %+v, want %+v", text, got, want)
		}
	}
}

func TestUsualName(t *testing.T) {
	for text, want := range map[string]string{
		"pw_admin-DESKTOP-7HJ2K9Q_2026": "desktop-7hj2k9q",
		"Report from DESKTOP-7HJ2K9Q":   "desktop-7hj2k9q",
		"anna/KLARA-PC":                 "klara-pc",
		"minutes-of-the-meeting.pdf":    "",
		"win-win situation":             "",
	} {
		if got := usualName(text); got != want {
			t.Errorf("usualName(%q) = %q, want %q", text, got, want)
		}
	}
}

func TestPacked(t *testing.T) {
	for head, want := range map[string]string{
		"\x1f\x8b\x08\x00": "a gzip stream", "PK\x03\x04zz": "an archive", "\xff\xd8\xff\xe0": "a picture",
		"\x00\x00\x00\x18ftypmp42": "a recording", "RIFFzzzzWEBP": "a recording", "zzzz": "", "": "",
	} {
		if got := packed(head); got != want {
			t.Errorf("packed(%q) = %q, want %q", head, got, want)
		}
	}
}

func TestIsCodedForm(t *testing.T) {
	for head, want := range map[string]bool{
		"d=Qm9vOiBhIHNlY3JldCBpcyBhIHNlY3JldCAxMjM0":       true,
		"a=1&data=eyJHVUlEIjoiMWMyYzlkZmU0OWFiY2RlZjAx":    true,
		"k=9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b82": true,
		"name=Klara&text=Hello+there+and+good+morning":     false,
		"": false,
	} {
		if got := isCodedForm(head); got != want {
			t.Errorf("isCodedForm(%q) = %v", head, got)
		}
	}
}
