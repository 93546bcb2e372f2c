package shield

import (
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/klauspost/compress/zstd"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/engine"
	"github.com/testudo-shield/testudo/keep/zeeklog"
	"github.com/testudo-shield/testudo/sense/source"
)

// Replay is one reading of recorded traffic.
type Replay struct {
	Parts
	Settings
	Paths         []string  // files and folders; "-" is Stdin
	Stdin         io.Reader // what the path "-" means; nil for nothing
	RecordsDir    string    // where to write Zeek logs; "" for nowhere
	RecordsFormat string    // "tsv" or "json"
	// Memory is where what is read and found is remembered; nil for nowhere.
	// What it holds already is judged together with it.
	Memory *Memory
	// Note is told what a user should know of the inputs and is no fault; nil
	// for nobody.
	Note func(string)

	stdin string // the hash that stdin goes by in memory
}

// ErrNoInput says that nothing of what was named could be read.
var ErrNoInput = errors.New("none of the inputs could be read")

// Run reads the inputs and returns what was found. Damaged inputs are told in
// the summary's Skipped and count as far as they could be read; only if
// nothing could be opened the error is ErrNoInput.
func (r Replay) Run(ctx context.Context) (engine.Result, error) {
	if r.Memory != nil && slices.Contains(r.Paths, "-") {
		r.nameStdin()
	}
	in, err := r.openUnless(ctx)
	if err != nil {
		return engine.Result{Summary: testudo.Summary{Inputs: r.Paths, Skipped: interrupted(r.Paths), Local: r.Local}}, err
	}
	defer in.close()
	in.tell(r.Note)
	cfg := engine.Config{
		Workers: r.Workers, Protocols: r.Protocols, Detectors: r.Detectors,
		Budgets: r.Budgets, Local: r.Local, GuessLocal: r.GuessLocal,
		Match: r.Match, IsShared: r.IsShared, Progress: r.Progress,
	}
	merged := source.Merge(in.frames...)
	if len(in.frames) > 0 {
		cfg.Frames = merged
	}
	if logs := in.openLogs(); logs != nil {
		cfg.Records = logs
		for _, l := range in.logs {
			cfg.Lacks = append(cfg.Lacks, l.Lacks...)
		}
	}
	var logs *zeeklog.Writer
	if r.RecordsDir != "" {
		var err error
		if logs, err = zeeklog.New(r.RecordsDir, r.RecordsFormat); err != nil {
			return engine.Result{}, err
		}
		cfg.Tap = logs.Write
	}
	var kept *keeping
	if r.Memory != nil {
		if kept, err = r.keep(in); err != nil {
			return engine.Result{}, err
		}
		cfg.Tap = kept.tap(cfg.Tap)
	}
	in.lent = true
	res, err := engine.Run(ctx, cfg)
	if logs != nil {
		err = errors.Join(err, logs.Close())
	}
	if kept != nil {
		err = errors.Join(err, kept.end(ctx, &res))
	}
	res.Summary.Inputs, res.Summary.Skipped = in.named, in.skipped
	if err != nil && ctx.Err() != nil {
		res.Summary.Skipped = append(res.Summary.Skipped, interrupted(in.named)...)
	}
	if ctx.Err() == nil { // else an input may still be read from
		for _, s := range merged.Skipped() {
			res.Summary.Skipped = append(res.Summary.Skipped, testudo.Skip{Input: s.Input, Reason: unnamed(s.Reason, s.Input)})
		}
	}
	if res.ReadError != nil {
		res.Summary.Skipped = append(res.Summary.Skipped, testudo.Skip{Input: "logs", Reason: res.ReadError.Error()})
	}
	if in.records != nil {
		a := in.records.Account()
		res.Summary.Skipped = append(res.Summary.Skipped, a.Skipped...)
		res.Summary.Shed = append(res.Summary.Shed, a.Shed...)
		in.notes = a.Notes
		in.tell(r.Note)
	}
	r.Lists.complete(&res.Summary)
	if err == nil && len(in.frames) == 0 && in.records == nil {
		err = ErrNoInput
	}
	return res, err
}

// inputs is what could be opened of the paths a user named.
type inputs struct {
	named   []string
	seen    map[string]bool // files, by their one true path
	notes   []string
	taken   int // how many were opened
	files   []string
	frames  []source.Frames
	lent    bool   // the engine closes frames
	logs    []logs // by kind, in the order in which they came up
	records source.Records
	skipped []testudo.Skip
}

// logs are the inputs of one kind of records.
type logs struct {
	source.Opener
	paths []string
}

func (in *inputs) close() {
	for _, f := range in.frames {
		if !in.lent {
			f.Close()
		}
	}
	if in.records != nil {
		in.records.Close()
	}
}

// openLogs opens all logs as one, nil if there are none.
func (in *inputs) openLogs() source.Records {
	var all []source.Records
	for _, l := range in.logs {
		r, err := l.Records(l.paths...)
		if err != nil {
			for _, p := range l.paths {
				in.skip(p, err)
			}
			continue
		}
		all = append(all, r)
	}
	switch len(all) {
	case 0:
	case 1:
		in.records = all[0]
	default:
		in.records = source.MergeRecords(all...)
	}
	return in.records
}

// openUnless is open, given up when ctx is done: stdin may never say what it
// holds.
func (r Replay) openUnless(ctx context.Context) (*inputs, error) {
	opened := make(chan *inputs, 1)
	go func() { opened <- r.open() }()
	select {
	case in := <-opened:
		return in, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// interrupted says that the inputs may not have been read to their end.
func interrupted(named []string) []testudo.Skip {
	input := fmt.Sprintf("%d inputs", len(named))
	if len(named) == 1 {
		input = named[0]
	}
	return []testudo.Skip{{Input: input, Reason: "interrupted"}}
}

// again tells whether path was taken before, by whatever name. Paths are
// told apart without links, as far as these can be followed.
func (in *inputs) again(path string) bool {
	key := path
	if path != "-" {
		if p, err := filepath.EvalSymlinks(path); err == nil {
			key = p
		}
		if p, err := filepath.Abs(key); err == nil {
			key = p
		}
	}
	had := in.seen[key]
	in.seen[key] = true
	return had
}

// tell gives the notes to whom they are for.
func (in *inputs) tell(note func(string)) {
	for _, n := range in.notes {
		if note != nil {
			note(n)
		}
	}
	in.notes = nil
}

func (in *inputs) note(format string, args ...any) {
	in.notes = append(in.notes, fmt.Sprintf(format, args...))
}

func (r Replay) open() *inputs {
	in := &inputs{seen: map[string]bool{}}
	for _, path := range r.Paths {
		info, err := os.Stat(path)
		if in.again(path) {
			in.note("%s: named twice, read once", path)
			continue
		}
		in.named = append(in.named, path)
		switch {
		case path == "-":
			stdin := r.Stdin
			if stdin == nil {
				stdin = strings.NewReader("")
			}
			f, err := r.frameOpener().Frames(path, stdin)
			in.add(path, f, err)
		case err != nil:
			in.skip(path, err)
		case info.IsDir():
			r.openFolder(in, path)
		case !info.Mode().IsRegular():
			// A pipe gives its bytes once: they cannot be looked at first.
			f, err := r.frameOpener().Frames(path, nil)
			in.add(path, f, err)
		default:
			r.openFile(in, path)
		}
	}
	return in
}

func (r Replay) frameOpener() source.Opener {
	return r.Sources[slices.IndexFunc(r.Sources, func(o source.Opener) bool { return o.Frames != nil })]
}

// openFolder takes every file below path that any source recognises.
func (r Replay) openFolder(in *inputs, path string) {
	before := in.taken + len(in.skipped)
	again, aside := 0, 0
	err := filepath.WalkDir(path, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			in.skip(p, err)
			return nil
		}
		if d.Type().IsRegular() {
			switch o, err := r.recognise(p); {
			case err != nil:
				in.skip(p, err)
			case o == nil:
				aside++
			case in.again(p):
				again++
			default:
				in.open(*o, p)
			}
		}
		return nil
	})
	taken := in.taken + len(in.skipped) - before
	switch {
	case err != nil:
		in.skip(path, err)
	case taken+again == 0:
		in.skip(path, errors.New("holds no capture and no log that is known"))
	case aside == 1:
		in.note("%s: 1 other file left aside", path)
	case aside > 1:
		in.note("%s: %d other files left aside", path, aside)
	}
	if again > 0 {
		in.note("%s: of its files, %d named twice and read once", path, again)
	}
}

func (r Replay) openFile(in *inputs, path string) {
	o, err := r.recognise(path)
	if err != nil {
		in.skip(path, err)
		return
	}
	if o == nil {
		// The capture reader says best what it found instead.
		f := r.frameOpener()
		o = &f
	}
	in.open(*o, path)
}

func (in *inputs) open(o source.Opener, path string) {
	if o.Frames != nil {
		f, err := o.Frames(path, nil)
		in.add(path, f, err)
		return
	}
	in.taken++
	in.files = append(in.files, path)
	for i := range in.logs {
		if in.logs[i].Name == o.Name {
			in.logs[i].paths = append(in.logs[i].paths, path)
			return
		}
	}
	in.logs = append(in.logs, logs{o, []string{path}})
}

func (in *inputs) add(path string, f source.Frames, err error) {
	if err != nil {
		in.skip(path, err)
		return
	}
	in.taken++
	in.files = append(in.files, path)
	in.frames = append(in.frames, f)
}

func (in *inputs) skip(path string, err error) {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		err = pe.Err
	}
	in.skipped = append(in.skipped, testudo.Skip{Input: path, Reason: unnamed(err.Error(), path)})
}

// unnamed takes the input's name off a reason that is told beside it.
func unnamed(reason, path string) string {
	return strings.TrimPrefix(reason, "capture "+path+": ")
}

// recognise finds the kind of a file by its first bytes, nil for none.
func (r Replay) recognise(path string) (*source.Opener, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	head, err := firstBytes(f)
	if err != nil {
		return nil, fmt.Errorf("cannot be read: %w", err)
	}
	for i := range r.Sources {
		if r.Sources[i].Sniff(head) {
			return &r.Sources[i], nil
		}
	}
	return nil, nil
}

// headBytes is how much of a file's content is looked at to tell what it is:
// some dozens of frames.
const headBytes = 64 << 10

// firstBytes returns up to headBytes of content, decompressed.
func firstBytes(f io.Reader) ([]byte, error) {
	b := bufio.NewReader(f)
	magic, _ := b.Peek(4)
	var in io.Reader = b
	switch {
	case len(magic) >= 2 && magic[0] == 0x1f && magic[1] == 0x8b:
		z, err := gzip.NewReader(b)
		if err != nil {
			return nil, err
		}
		in = z
	case len(magic) == 4 && magic[0] == 0x28 && magic[1] == 0xb5 && magic[2] == 0x2f && magic[3] == 0xfd:
		z, err := zstd.NewReader(b, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(64<<20))
		if err != nil {
			return nil, err
		}
		defer z.Close()
		in = z
	}
	head := make([]byte, headBytes)
	n, err := io.ReadFull(in, head)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil
	}
	if n > 0 {
		err = nil
	}
	return head[:n], err
}
