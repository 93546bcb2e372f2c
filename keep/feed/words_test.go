package feed

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestInWords(t *testing.T) {
	tests := []struct {
		err  error
		want string
	}{
		{&net.DNSError{Name: "lists.example", Err: "no such host"}, "the name lists.example cannot be resolved; check the address and this machine's DNS"},
		{fmt.Errorf("dial: %w", syscall.ECONNREFUSED), "the server refuses the connection; check the address and port"},
		{fmt.Errorf("read: %w", syscall.ECONNRESET), "the server ended the connection in the middle of its answer; try again"},
		{&net.OpError{Op: "dial", Err: context.DeadlineExceeded}, "no connection within 15 seconds; check the address, the firewall and the proxy"},
		{x509.CertificateInvalidError{Reason: x509.Expired}, "its certificate has expired or is not valid yet; check this machine's clock, then tell who runs the server"},
		{x509.CertificateInvalidError{Reason: x509.NotAuthorizedToSign}, "its certificate is not valid; tell who runs the server"},
		{diskFault(&fs.PathError{Op: "write", Err: syscall.ENOSPC}), "the disk is full; make room in the state folder"},
		{diskFault(&fs.PathError{Op: "open", Path: "x", Err: syscall.EACCES}), "it cannot be stored: open x: permission denied; look at the rights of the state folder"},
		{errors.New("something else"), "something else"},
	}
	l := limits{connect: 15 * time.Second, firstByte: 30 * time.Second}
	for _, tt := range tests {
		if got := inWords(context.Background(), tt.err, &l).Error(); got != tt.want {
			t.Errorf("got  %s\nwant %s", got, tt.want)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 0)
	defer cancel()
	l.whole = 30 * time.Minute
	if got := inWords(ctx, ctx.Err(), &l).Error(); got != "not done within 30 minutes; try again when the line is better" {
		t.Error(got)
	}
}

func TestSizes(t *testing.T) {
	got := []string{size(1), size(999), size(1000), size(1234567), size(5e9), span(time.Minute), span(50 * time.Hour), span(time.Millisecond), plural(1, "file")}
	if want := "1 byte|999 bytes|1.0 kB|1.2 MB|5.0 GB|1 minute|2 days|1ms|1 file"; strings.Join(got, "|") != want {
		t.Errorf("got %s", strings.Join(got, "|"))
	}
}
