// Package history remembers records of every kind, so that what becomes known
// today can be looked for in what happened before. It holds what every store
// shares: the interface (Store), the columns a record has (Layout) and what a
// query means (Filter). The stores are below it: history/parquet keeps files
// on this machine, history/clickhouse uses a database; history/historytest
// holds both to the same promises. docs/format/history.md describes what other
// tools read.
package history

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"github.com/testudo-shield/testudo"
)

// A Store keeps records and answers about them. Its methods may be used by
// several goroutines at once.
type Store interface {
	// Append remembers records. When it returns nil they survive the end of
	// the process at any moment. Appending the same part of the same ingest
	// again changes nothing. ErrFull in the error says that there is no room:
	// nothing of the part was kept, and it may be tried again later. The
	// records are not held on to.
	Append(ctx context.Context, in Ingest, records []testudo.Record) error

	// Scan gives the records that fit q, hour by hour, within an hour in order
	// of time, until give returns false. A given record is the caller's. The
	// context of a record (Meta.About) is not kept, but for OrigLocal and
	// RespLocal. Progress, where not nil, is told about every hour. When ctx
	// ends, Scan returns its error with what was found until then; Scanned
	// says how far it came.
	Scan(ctx context.Context, q testudo.Query, give func(testudo.Record) bool, progress func(Progress)) (Scanned, error)

	// Forget removes every record that holds the subject, wherever it stands
	// in it, and says what it did. What a Hold protects is removed too. When it
	// returns nil, the subject is in no file the store reads.
	Forget(ctx context.Context, s Subject) (Receipt, error)

	// Maintain brings the store into order: it moves what was appended to
	// where it is found quickly, joins small files and enforces the policy. It
	// is to be called every few minutes while records come in, and after the
	// last. It may be cut off by ctx at any time without harm.
	Maintain(ctx context.Context, now testudo.Time, p Policy) (Report, error)

	// Close ends the use of the store. Nothing acknowledged waits for it.
	Close() error
}

// The errors that callers tell apart.
var (
	// ErrFull says that the disk, or the quota, has no room.
	ErrFull = errors.New("no room left to remember: free space or lower the history's limit")
	// ErrBusy says that another process writes to the same store.
	ErrBusy = errors.New("another process uses this history; stop it, or only read")
	// ErrReadOnly says that the store was opened for reading.
	ErrReadOnly = errors.New("the history was opened for reading only")
)

// Ingest names where records come from, so that the same input is remembered
// once however often it is read.
type Ingest struct {
	ID   string       // a hash of the input's content, or sensor@start for what is live
	Part int64        // counts the portions of it from 0
	At   testudo.Time // the wall time of remembering; retention goes by it
}

// Progress says how far a scan has come.
type Progress struct {
	Done, Total int64        // bytes of the store that are dealt with, read or not
	Found       int64        // records given
	Hour        testudo.Time // which was finished last
}

// Scanned says what an answer rests on.
type Scanned struct {
	Found                  int64
	Rows, RowsSkipped      int64 // looked at; excluded by statistics, filters or dictionaries
	Files, FilesSkipped    int64
	Bytes, BytesSkipped    int64
	Hours                  []Hour   // that are recorded within the time asked for, in order
	Damaged                []Damage // what could not be read and is missing from the answer
	TailFrames, TornFrames int64    // of what was not yet in files; TornFrames were cut off by a crash and never acknowledged
}

// Hour is what one hour holds of the logs asked for.
type Hour struct {
	Start    testudo.Time
	Rows     int64
	Nameless bool // names of some of it were removed by the policy
}

// Damage is a file that could not be read, in whole or in part.
type Damage struct{ File, Reason string }

// Subject is a host or a person to be forgotten.
type Subject struct {
	Addresses []netip.Addr
	// Words are host names, accounts or mail addresses. A record holds one if
	// any of its texts does, as a whole word and in any case.
	Words []string
}

// Receipt says what Forget did.
type Receipt struct {
	Subject     Subject
	Rows        int64 // removed
	Files       []FileReceipt
	TailRows    int64        // of Rows, those that were not yet in files
	Searched    int64        // files looked through
	Unread      []Damage     // files that could not be searched; they were set aside and must be looked at by hand
	First, Last testudo.Time // of the records removed
}

// FileReceipt is what Forget did to one file.
type FileReceipt struct {
	File string // as it was
	New  string // what replaced it, "" where nothing was left
	Rows int64  // removed
}

// Policy is how long what is kept.
type Policy struct {
	Keep      time.Duration // since it was ingested; 0 for ever
	KeepNames time.Duration // names, mail addresses, URLs and heads of content; 0 for as long as Keep
	MaxBytes  int64         // of all files; the oldest traffic goes first; 0 for no limit
	Hold      Hold          // kept longer than the policy says
}

// Hold is what open incidents rest on.
type Hold struct {
	UIDs  []testudo.UID // conns, with every record that belongs to them
	Spans []Span
}

// Span is the traffic of an address in a time.
type Span struct {
	Address  netip.Addr
	From, To testudo.Time // From <= t < To
}

// Report says what Maintain did and what there is.
type Report struct {
	Sealed         int64 // records moved from the tail into files
	Joined         int64 // files that were joined with others
	Expired        int64 // records removed because of their age
	Evicted        int64 // records removed for lack of room
	Held           int64 // records kept beyond the policy
	Blanked        int64 // records whose names were removed
	Damaged        []Damage
	Files          int64
	Rows           int64        // in files
	Bytes          int64        // of all files and the tail
	Oldest, Newest testudo.Time // of the traffic in files, 0 where there is none
}
