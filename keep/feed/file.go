package feed

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
)

// askFile copies a file of this machine. What it was is kept although the
// file may go: another program may be writing it just now.
func (a *attempt) askFile(ctx context.Context, path string) (news, error) {
	info, err := os.Stat(path) // before it is opened: opening a pipe would wait
	if err != nil {
		return news{}, fileFault(err)
	}
	if !info.Mode().IsRegular() {
		return news{}, &fault{what: "it is not a regular file", do: "name a file"}
	}
	f, err := os.Open(path)
	if err != nil {
		return news{}, fileFault(err)
	}
	defer f.Close()
	raw, err := a.stage.temp()
	if err != nil {
		return news{}, err
	}
	defer discard(raw)
	w := &sink{file: raw, left: a.src.maxBytes(), max: a.src.maxBytes(), hash: sha256.New()}
	if _, err := io.Copy(w, f); err != nil {
		return news{}, err
	}
	sum := hex.EncodeToString(w.hash.Sum(nil))
	q, err := a.store.session(a.src, nil)
	if err != nil {
		return news{}, err
	}
	defer q.close()
	if err := a.verify(ctx, q, raw, sum); err != nil {
		return news{}, err
	}
	return a.unpacked(Kept{}, raw, sum)
}

func fileFault(err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return &fault{what: "there is no such file", do: "check the path", err: err}
	case errors.Is(err, fs.ErrPermission):
		return &fault{what: "it may not be read", do: "give this account the right to", err: err}
	}
	return &fault{what: err.Error(), err: err}
}
