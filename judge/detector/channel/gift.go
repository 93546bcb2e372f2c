package channel

import (
	"fmt"
	"strings"

	"github.com/testudo-shield/testudo"
)

// gift is a program that a peer handed over in the clear.
type gift struct {
	count       int
	mime        string
	claimed     string // the type it was said to be
	disguise    string // the false type or name that it came under
	untyped     bool   // came as plain text under no program's name: what servers say of what they do not know
	unnamed     bool   // the request's path names no program
	hidden      bool   // a name appears only in the answer
	lottery     bool   // that name or path looks drawn by lot
	bareLibrary bool
	bare        bool // asked for at a bare address
	agent       int  // as disguise
	oddAgent    bool
	port        uint16
	ftp         bool
	many        int // libraries
}

// program looks whether an answer is a program.
func (p *pair) program(r *testudo.HTTP) {
	if !r.About.Outbound || !r.HasResponse || len(r.RespMIME) == 0 || !isProgram(r.RespMIME[0]) {
		return
	}
	g := &p.gift
	g.count++
	g.mime, g.claimed, g.port = r.RespMIME[0], r.ResponseType, r.ID.Resp.Port()
	path, _, _ := strings.Cut(r.URI, "?")
	file := path[strings.LastIndexByte(path, '/')+1:]
	switch ext := extension(file); {
	case programExtension(ext):
		// Whatever type the server gave it, it came under its own name.
	case strings.HasPrefix(r.ResponseType, "text/plain") && ext == "":
		g.untyped, g.unnamed = true, true
	case falseType(r.ResponseType):
		g.disguise = "the type " + firstOf(r.ResponseType)
	case falseExtension(ext):
		g.disguise = "the name of a ." + ext + " file"
	default:
		g.unnamed = true
	}
	if r.FileName != "" && !strings.EqualFold(r.FileName, file) {
		g.hidden = true
		file = r.FileName
	}
	if extension(file) == "dll" {
		g.bareLibrary = true
		g.many++
	}
	stem, _, _ := strings.Cut(file, ".")
	g.lottery = g.lottery || drawnByLot(stem)
	g.bare = g.bare || isAddress(r.Host)
	g.agent = max(g.agent, disguise(r))
	g.oddAgent = g.oddAgent || drawnByLot(r.UserAgent) || r.UserAgent == "" && has(r.RequestHeaders, "host")
}

// file looks whether a file fetched by FTP is a program.
func (p *pair) file(r *testudo.FTP) {
	if !r.About.Outbound || r.Command != "RETR" || r.ReplyCode >= 400 {
		return
	}
	mime := r.MIME
	if mime == "" {
		switch extension(r.Arg) {
		case "exe", "dll", "scr", "sys", "cpl", "ocx":
			mime = "by its name " + r.Arg
		}
	} else if !isProgram(mime) {
		return
	}
	if mime == "" {
		return
	}
	g := &p.gift
	g.count++
	g.ftp, g.mime, g.port = true, mime, r.ID.Resp.Port()
}

// weighDelivery puts what speaks for a program sent by an adversary.
func (p *pair) weighDelivery(k *scale) {
	g := &p.gift
	if g.count == 0 {
		k.add(testudo.Base, -10, "no program came")
		return
	}
	k.add(testudo.Base, rareProgram, "most programs that come in the clear are updates and tools")
	k.when(g.disguise != "", testudo.Content, 3.8, "a program (%s) came under %s", g.mime, g.disguise)
	k.when(g.unnamed, testudo.Content, 0.7, "the path asked for names no program, yet one (%s) came", g.mime)
	k.when(g.untyped, testudo.Content, 0.7, "the server called it plain text")
	k.when(g.hidden, testudo.Content, 0.5, "its name stands only in the answer")
	k.when(g.lottery, testudo.Content, 1, "its name looks drawn by lot")
	k.when(g.bareLibrary, testudo.Content, 0.7, "a bare library, which nobody runs by hand")
	switch {
	case g.agent == naked || g.oddAgent:
		k.add(testudo.Content, 1.5, "the client is no browser, though its name may claim so")
	case g.agent != honest:
		k.add(testudo.Content, 0.8, "the client calls itself a browser but names no language")
	}
	k.when(g.mime == "application/x-executable", testudo.Content, 1, "bare programs for Linux are rare: they come in packages")
	k.when(g.many >= 3, testudo.Volume, 1, "%d libraries one by one", g.many)
	if g.ftp {
		k.add(testudo.Content, 1.5, "a program (%s) came by FTP, which no browser and no updater uses any more", g.mime)
		k.when(g.count > 1, testudo.Volume, min(1, 0.4*float64(g.count)), "%d programs", g.count)
		w := p.unresolved()
		k.when(w > 0, testudo.Naming, w, "from an address that this machine was not seen to resolve, as it does others")
	}
	k.when(g.bare && !p.bothOurs, testudo.Naming, 2, "asked for at a bare address")
	k.when(meaning(g.port) == "", testudo.Naming, 0.7, "on port %d", int(g.port))
	p.weighHosts(k)
}

func (p *pair) claimDelivery(k ends, s *testudo.Sighting, server *testudo.Server) {
	g := &p.gift
	s.Kind, s.Outcome = testudo.Intrusion, testudo.Success
	s.Key = "delivery " + k.host.String() + " " + k.peer.String()
	server.Role = testudo.Staging
	s.Title = fmt.Sprintf("%s fetched a program from %s", k.host, p.called(k.peer))
	if g.disguise != "" {
		s.Title += " under a false type"
	}
	s.Summary = fmt.Sprintf("%d programs (%s) in the clear, claimed as %q", g.count, g.mime, g.claimed)
	s.Innocent = "an installer or updater that fetches its parts by plain HTTP"
	s.Techniques = []string{"T1105"}
	if g.disguise != "" {
		s.Techniques = append(s.Techniques, "T1036.008")
	}
	s.Evidence = []testudo.Fact{{Name: "programs", Value: g.count}, {Name: "content", Value: g.mime}, {Name: "claimed", Value: g.claimed}}
}

// isProgram tells the content types of what a machine runs as it is.
func isProgram(mime string) bool {
	switch mime {
	case "application/x-dosexec", "application/x-executable", "application/x-mach-o-executable":
		return true
	}
	return false
}

// falseType tells a claimed type that no program has.
func falseType(mime string) bool {
	for _, p := range [...]string{"image/", "text/", "audio/", "video/", "font/", "application/pdf", "application/json"} {
		if strings.HasPrefix(mime, p) {
			return true
		}
	}
	return false
}

func falseExtension(ext string) bool {
	switch ext {
	case "png", "jpg", "jpeg", "gif", "bmp", "ico", "txt", "pdf", "css", "js", "svg", "mp3", "mp4", "doc", "xls", "html", "htm", "xml", "json", "woff", "ttf":
		return true
	}
	return false
}

func programExtension(ext string) bool {
	switch ext {
	case "exe", "dll", "msi", "msu", "cab", "bin", "sys", "ocx", "cpl", "scr", "com", "so", "run", "sh", "elf", "dat", "psf", "esd", "pkg", "dmg", "apk", "out", "tmp", "drv", "efi", "mui", "ax", "zip", "gz":
		return true
	}
	return false
}

// extension returns what follows the last dot of a file's name, in lower
// case, "" for none.
func extension(file string) string {
	i := strings.LastIndexByte(file, '.')
	if i < 0 || len(file)-i > 6 {
		return ""
	}
	return strings.ToLower(file[i+1:])
}

// firstOf returns a media type without its parameters.
func firstOf(mime string) string {
	mime, _, _ = strings.Cut(mime, ";")
	return mime
}
