package exfil

import (
	"fmt"
	"path"
	"strings"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/judge/detector"
)

// ftp judges a file that a host of ours stores outside. A thief's program
// logs in, stores a report named for the machine and the moment, and leaves;
// people look around first, and publishing programs store the same files
// again.
func (m *memory) ftp(r *testudo.FTP, h *host, out *detector.Out) {
	w := wayOf(&r.Meta, byFTP)
	switch r.Command {
	case "LIST", "NLST", "MLSD", "RETR", "DELE", "MKD", "RNTO", "SITE":
		d, _ := m.drops.Put(w)
		if d.session != r.UID {
			d.session, d.looked = r.UID, false
		}
		d.looked = true
		return
	case "STOR", "STOU", "APPE":
	default:
		return
	}
	if r.ReplyCode >= 400 {
		return
	}
	d, _ := m.drops.Put(w)
	if d.session != r.UID {
		d.session, d.looked = r.UID, false
	}
	v := detector.Verdict{Telling: true}
	v.Add(testudo.Base, -5.5, "files are uploaded all day")
	name := path.Base(strings.ReplaceAll(r.Arg, "\\", "/"))
	fileName(name, h).addTo(&v, testudo.Naming, 5)
	var content evidence
	if kind := reportKind(name); kind != "" {
		content.note(0.7, "a %s, as reports are", kind)
	}
	if strings.Contains(r.User, "@") {
		content.note(0.3, "into an account at a hosting provider")
	}
	content.addTo(&v, testudo.Content, 1.5)
	if d.looked {
		v.Add(testudo.Innocence, -1.2, "folders were listed or files fetched, as people and synchronising programs do")
	} else {
		v.Add(testudo.Timing, 0.8, "stored right after log-in, without a look around")
	}
	weighRarity(&v, &r.About, r.Time, 0.5)
	m.note(w, &r.Meta, report{
		Verdict: v, bytes: r.FileSize, what: "stores a report on itself by FTP at", detail: fmt.Sprintf("file %q", short(name)),
		innocent:   "a job that delivers files named for machine and time, such as a backup or a camera",
		techniques: []string{"T1048.003", "T1071.002"},
	}, out)
}

// fileName says what the name of a file tells about who made it.
func fileName(name string, h *host) (e evidence) {
	if n := h.namedIn(name); n != "" {
		e.note(3.5, "the file is named for the machine itself, %s", n)
	} else if n := usualName(name); n != "" {
		e.note(2.5, "the file is named for a machine, %s", n)
	}
	if e.weight > 0 && digits(name) >= 12 {
		e.note(1, "and for the moment, to the second")
	}
	return e
}

func digits(s string) (n int) {
	for i := 0; i < len(s); i++ {
		if s[i] >= '0' && s[i] <= '9' {
			n++
		}
	}
	return n
}

// reportKind names kinds of files that loot is packed in, by their ending.
func reportKind(name string) string {
	switch strings.ToLower(path.Ext(name)) {
	case ".htm", ".html":
		return "page"
	case ".txt", ".log", ".json", ".csv":
		return "text"
	case ".zip", ".rar", ".7z", ".gz":
		return "archive"
	case ".jpg", ".jpeg", ".png", ".bmp":
		return "picture"
	}
	return ""
}
