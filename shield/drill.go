package shield

import (
	"bufio"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"

	"github.com/testudo-shield/testudo/drill"
)

// WriteDrill writes the exercise to drill.pcap in dir, with what is true of
// it beside it in truth.json, and returns the capture's path.
func WriteDrill(dir string, cfg drill.Config) (path string, truth drill.Truth, err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", truth, err
	}
	path = filepath.Join(dir, "drill.pcap")
	f, err := os.Create(path)
	if err != nil {
		return "", truth, err
	}
	w := bufio.NewWriterSize(f, 1<<20)
	truth, err = drill.Write(w, cfg)
	if err = errors.Join(err, w.Flush(), f.Close()); err != nil {
		return "", truth, err
	}
	text, err := json.MarshalIndent(truth, "", "  ")
	if err != nil {
		return "", truth, err
	}
	return path, truth, os.WriteFile(filepath.Join(dir, "truth.json"), append(text, '\n'), 0o644)
}
