package feed

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"

	"github.com/testudo-shield/testudo"
)

// A fault is what went wrong and what can be done about it.
type fault struct {
	what, do string
	err      error
}

func (f *fault) Error() string {
	if f.do == "" {
		return f.what
	}
	return f.what + "; " + f.do
}

func (f *fault) Unwrap() error { return f.err }

// isFault reports whether err is already in words.
func isFault(err error) bool {
	var f *fault
	return errors.As(err, &f)
}

func tooBig(limit int64) error {
	return &fault{what: "more than the " + size(limit) + " allowed", do: "raise max_bytes if the source is right"}
}

func diskFault(err error) error {
	if errors.Is(err, syscall.ENOSPC) {
		return &fault{what: "the disk is full", do: "make room in the state folder", err: err}
	}
	return &fault{what: "it cannot be stored: " + err.Error(), do: "look at the rights of the state folder", err: err}
}

// inWords turns what the network said into words. Addresses are left out:
// they may hold keys, and the caller names them.
func inWords(ctx context.Context, err error, l *limits) error {
	if cause := context.Cause(ctx); cause != nil && isFault(cause) {
		return cause
	}
	var f *fault
	if errors.As(err, &f) {
		return f
	}
	var asked *url.Error
	if errors.As(err, &asked) {
		err = asked.Err
	}
	switch {
	case errors.Is(err, context.Canceled):
		return &fault{what: "stopped before it was done", err: err}
	case errors.Is(err, context.DeadlineExceeded) && ctx.Err() != nil:
		return &fault{what: "not done within " + span(l.whole), do: "try again when the line is better", err: err}
	case errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, io.EOF):
		return &fault{what: "the server ended the connection in the middle of its answer", do: "try again", err: err}
	}
	if f := certificateFault(err); f != nil {
		return f
	}
	return lineFault(err, l)
}

func certificateFault(err error) error {
	var (
		unknown x509.UnknownAuthorityError
		name    x509.HostnameError
		invalid x509.CertificateInvalidError
		record  tls.RecordHeaderError
	)
	switch {
	case errors.As(err, &unknown):
		return &fault{what: "its certificate comes from nobody we trust", do: "if it is your own server, name its authority in ca_file", err: err}
	case errors.As(err, &name):
		return &fault{what: "its certificate is for another name", do: "check the address", err: err}
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return &fault{what: "its certificate has expired or is not valid yet", do: "check this machine's clock, then tell who runs the server", err: err}
	case errors.As(err, &invalid):
		return &fault{what: "its certificate is not valid", do: "tell who runs the server", err: err}
	case errors.As(err, &record) || errors.Is(err, http.ErrSchemeMismatch):
		return &fault{what: "the server does not speak TLS there", do: "check the address and port", err: err}
	}
	return nil
}

func lineFault(err error, l *limits) error {
	var (
		lookup  *net.DNSError
		timeout net.Error
	)
	switch {
	case errors.As(err, &lookup):
		return &fault{what: "the name " + lookup.Name + " cannot be resolved", do: "check the address and this machine's DNS", err: err}
	case errors.Is(err, syscall.ECONNREFUSED):
		return &fault{what: "the server refuses the connection", do: "check the address and port", err: err}
	case strings.Contains(err.Error(), "awaiting response headers"):
		return &fault{what: "no answer within " + span(l.firstByte), do: "try again later", err: err}
	case errors.As(err, &timeout) && timeout.Timeout():
		return &fault{what: "no connection within " + span(l.connect), do: "check the address, the firewall and the proxy", err: err}
	}
	return &fault{what: err.Error(), err: err}
}

// size says a number of bytes.
func size(n int64) string {
	switch {
	case n < 1000:
		return plural(n, "byte")
	case n < 1e6:
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	case n < 1e9:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	}
	return fmt.Sprintf("%.1f GB", float64(n)/1e9)
}

// span says a duration in its largest unit.
func span(d time.Duration) string {
	units := []struct {
		of   time.Duration
		name string
	}{{24 * time.Hour, "day"}, {time.Hour, "hour"}, {time.Minute, "minute"}, {time.Second, "second"}}
	for _, u := range units {
		if n := int64(d / u.of); n > 0 {
			return plural(n, u.name)
		}
	}
	return d.String()
}

func plural(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// inUse says what serves while a source fails.
func (k *Kept) inUse(now testudo.Time) string {
	if len(k.Files) == 0 {
		return "in use: nothing, there is no copy yet"
	}
	age := "just now"
	if d := now.Sub(k.Fetched); d >= time.Minute {
		age = span(d) + " old"
	}
	return fmt.Sprintf("in use: the copy of %s (%s, %s, %s)",
		k.Fetched.Std().Format("2006-01-02 15:04 UTC"), age, plural(int64(len(k.Files)), "file"), size(k.Bytes()))
}
