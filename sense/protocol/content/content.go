// Package content tells what kind of file some bytes are, by their content
// alone: what a server claims is worth little. The names are Zeek's where
// Zeek has one. It is a leaf for the protocols that carry files (http, smtp,
// ftp) and for opaque; it keeps nothing and allocates nothing.
package content

import (
	"bytes"
	"encoding/binary"
	"unicode/utf8"
)

// Head is how many leading bytes are worth giving to MIME: most kinds show
// in the first dozen, tar and ISO images in the first 300 and 32,774, office
// archives anywhere in the first few kilobytes.
const Head = 4096

// magic is one signature: bytes that must stand at an offset.
type magic struct {
	at   int
	sig  string
	mime string
}

// The order decides where one signature is the start of another.
var magics = [...]magic{
	{0, "\x7fELF", "application/x-executable"},
	{0, "\xfe\xed\xfa\xce", "application/x-mach-o-executable"},
	{0, "\xfe\xed\xfa\xcf", "application/x-mach-o-executable"},
	{0, "\xce\xfa\xed\xfe", "application/x-mach-o-executable"},
	{0, "\xcf\xfa\xed\xfe", "application/x-mach-o-executable"},
	{0, "dex\n03", "application/x-dex"},
	{0, "%PDF-", "application/pdf"},
	{0, "\x1f\x8b\x08", "application/x-gzip"},
	{0, "7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"},
	{0, "Rar!\x1a\x07", "application/x-rar"},
	{0, "MSCF\x00\x00\x00\x00", "application/vnd.ms-cab-compressed"},
	{0, "BZh", "application/x-bzip2"},
	{0, "\xfd7zXZ\x00", "application/x-xz"},
	{0, "\x28\xb5\x2f\xfd", "application/zstd"},
	{257, "ustar", "application/x-tar"},
	{0, "ITSF\x03\x00\x00\x00", "application/x-chm"},
	{0, "L\x00\x00\x00\x01\x14\x02\x00\x00\x00\x00\x00\xc0\x00\x00\x00", "application/x-ms-shortcut"},
	{0x8001, "CD001", "application/x-iso9660-image"},
	{0, "FWS", "application/x-shockwave-flash"},
	{0, "CWS", "application/x-shockwave-flash"},
	{0, "ZWS", "application/x-shockwave-flash"},
	{0, "{\\rtf", "text/rtf"},
	{0, "\x89PNG\r\n\x1a\n", "image/png"},
	{0, "\xff\xd8\xff", "image/jpeg"},
	{0, "GIF87a", "image/gif"},
	{0, "GIF89a", "image/gif"},
	{0, "\x00\x00\x01\x00", "image/x-icon"},
	{0, "II*\x00", "image/tiff"},
	{0, "MM\x00*", "image/tiff"},
	{0, "wOFF", "application/font-woff"},
	{0, "wOF2", "application/font-woff2"},
	{0, "OggS", "application/ogg"},
	{0, "ID3", "audio/mpeg"},
	{0, "fLaC", "audio/flac"},
	{4, "ftyp", "video/mp4"},
	{0, "\x1aE\xdf\xa3", "video/webm"},
	{0, "\x00asm", "application/wasm"},
	{0, "!<arch>\ndebian", "application/x-debian-package"},
	{0, "\xed\xab\xee\xdb", "application/x-rpm"},
	{0, "SQLite format 3\x00", "application/x-sqlite3"},
	{0, "!BDN", "application/vnd.ms-outlook"},
	{0, "MDMP\x93\xa7", "application/x-dmp"},
	{0, "regf", "application/x-windows-registry"},
}

// MIME names the kind of file that begins with head, "" for no bytes at all.
// What has no signature is "text/plain" where it reads as text and
// "application/octet-stream" otherwise. A name ending in .macroEnabled.12
// says that an office archive was seen to hold macros; without it nothing is
// said about macros, for they may lie further on.
func MIME(head []byte) string {
	if len(head) == 0 {
		return ""
	}
	if m := container(head); m != "" {
		return m
	}
	for i := range magics {
		m := &magics[i]
		if len(head) >= m.at+len(m.sig) && head[m.at] == m.sig[0] && string(head[m.at:m.at+len(m.sig)]) == m.sig {
			return m.mime
		}
	}
	if Text(head[:min(len(head), 1024)]) >= 0.9 {
		return textual(head)
	}
	if bytes.HasPrefix(head, []byte("\xff\xfe")) || bytes.HasPrefix(head, []byte("\xfe\xff")) {
		return "text/plain"
	}
	return "application/octet-stream"
}

// container names the kinds that need more than a signature.
func container(b []byte) string {
	switch {
	case b[0] == 'M' && PE(b) != No:
		return "application/x-dosexec"
	case len(b) >= 8 && string(b[:4]) == "\xca\xfe\xba\xbe":
		if binary.BigEndian.Uint32(b[4:]) < 0x20 { // count of slices; a class file has its version here
			return "application/x-mach-o-executable"
		}
		return "application/x-java-applet"
	case len(b) >= 4 && (string(b[:4]) == "PK\x03\x04" || string(b[:4]) == "PK\x05\x06"):
		return archive(b)
	case len(b) >= 8 && string(b[:8]) == "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1":
		return ole(b)
	case len(b) >= 12 && string(b[:4]) == "RIFF":
		switch string(b[8:12]) {
		case "WEBP":
			return "image/webp"
		case "WAVE":
			return "audio/x-wav"
		case "AVI ":
			return "video/x-msvideo"
		}
	case len(b) >= 6 && b[0] == 'B' && b[1] == 'M' && len(b) >= 26 && b[6]|b[7]|b[8]|b[9] == 0:
		return "image/x-ms-bmp"
	}
	return ""
}

// Sure is how far a look at a head could tell.
type Sure uint8

// No says it is not, Likely that nothing contradicts it but the deciding
// bytes lie beyond the head, Certain that they were seen.
const (
	No Sure = iota
	Likely
	Certain
)

// PE tells whether b begins with a Windows executable: an MZ header whose
// pointer at 0x3c leads to "PE\0\0" (Microsoft, PE format). With fewer than
// 64 bytes, or where the pointer leads out of b, it is only Likely.
func PE(b []byte) Sure {
	if len(b) < 2 || b[0] != 'M' || b[1] != 'Z' {
		return No
	}
	if len(b) < 0x40 {
		if Text(b) > 0.9 {
			return No
		}
		return Likely
	}
	at := binary.LittleEndian.Uint32(b[0x3c:])
	if at < 4 || at > 1<<16 {
		return No
	}
	if int(at)+4 > len(b) {
		return Likely
	}
	if string(b[at:at+4]) == "PE\x00\x00" {
		return Certain
	}
	return No
}

func archive(b []byte) string {
	macro := bytes.Contains(b, []byte("vbaProject.bin"))
	switch {
	case bytes.Contains(b, []byte("AndroidManifest.xml")):
		return "application/vnd.android.package-archive"
	case bytes.Contains(b, []byte("META-INF/MANIFEST.MF")), bytes.Contains(b, []byte(".class")):
		return "application/java-archive"
	case bytes.Contains(b, []byte("mimetypeapplication/vnd.oasis.opendocument")):
		return "application/vnd.oasis.opendocument"
	case !bytes.Contains(b, []byte("[Content_Types].xml")) && !bytes.Contains(b, []byte("_rels/")):
		return "application/zip"
	case bytes.Contains(b, []byte("word/")):
		if macro {
			return "application/vnd.ms-word.document.macroEnabled.12"
		}
		return "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
	case bytes.Contains(b, []byte("xl/")):
		if macro {
			return "application/vnd.ms-excel.sheet.macroEnabled.12"
		}
		return "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
	case bytes.Contains(b, []byte("ppt/")):
		if macro {
			return "application/vnd.ms-powerpoint.presentation.macroEnabled.12"
		}
		return "application/vnd.openxmlformats-officedocument.presentationml.presentation"
	}
	return "application/vnd.openxmlformats-officedocument"
}

// ole tells the compound files apart by the UTF-16 names in their directory,
// which often lies in the first kilobytes; else they are just that.
func ole(b []byte) string {
	switch {
	case bytes.Contains(b, []byte("W\x00o\x00r\x00d\x00D\x00o\x00c\x00")):
		return "application/msword"
	case bytes.Contains(b, []byte("W\x00o\x00r\x00k\x00b\x00o\x00o\x00k\x00")):
		return "application/vnd.ms-excel"
	case bytes.Contains(b, []byte("P\x00o\x00w\x00e\x00r\x00P\x00o\x00i\x00n\x00t\x00")):
		return "application/vnd.ms-powerpoint"
	}
	return "application/CDFV2"
}

// begins tells what a byte is by itself: 1 printable, 0 not, more the first of
// several.
var begins = func() (t [256]uint8) {
	for c := range t {
		switch {
		case c >= ' ' && c < 0x7f || c == '\n' || c == '\r' || c == '\t':
			t[c] = 1
		case c >= 0xc2 && c <= 0xf4:
			t[c] = more
		}
	}
	return t
}()

const more = 2

// Text returns the share of b that is printable: ASCII from space to tilde,
// tab, line ends, and well-formed UTF-8 beyond. It is 0 for nothing. A rune
// cut off by the end of b counts as printable.
func Text(b []byte) float64 {
	if len(b) == 0 {
		return 0
	}
	n := 0
	for i := 0; i < len(b); {
		c := b[i]
		if k := begins[c]; k != more {
			n += int(k)
			i++
			continue
		}
		if i+1 < len(b) && b[i+1]&0xc0 != 0x80 { // cannot be a character
			i++
			continue
		}
		r, size := utf8.DecodeRune(b[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			if i > 0 && !utf8.FullRune(b[i:]) {
				n += len(b) - i
				size = len(b) - i
			}
		case r >= 0xa0:
			n += size
		}
		i += size
	}
	return float64(n) / float64(len(b))
}
