package state

// All times are nanoseconds since 1970, 0 for unknown or open. Columns named
// "at", "since", "until", "removed", "added", "fetched" and "read" hold wall
// time; "first" and "last" hold traffic time. docs/format/state.md tells
// users what each table is.

// schemaJudged is version 1.
const schemaJudged = `
CREATE TABLE schema (
	version INTEGER PRIMARY KEY,
	name    TEXT NOT NULL,
	program TEXT NOT NULL,
	at      INTEGER NOT NULL
);
CREATE TABLE revisions (
	of TEXT PRIMARY KEY,
	n  INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE incidents (
	id          TEXT PRIMARY KEY,
	state       TEXT NOT NULL CHECK (state IN ('new', 'confirmed', 'contained', 'closed')),
	added       INTEGER NOT NULL,
	told        INTEGER NOT NULL,
	closed_last INTEGER NOT NULL DEFAULT 0,
	kind        TEXT NOT NULL,
	severity    INTEGER NOT NULL,
	confidence  REAL NOT NULL,
	urgency     INTEGER NOT NULL,
	title       TEXT NOT NULL,
	first       INTEGER NOT NULL,
	last        INTEGER NOT NULL,
	format      INTEGER NOT NULL,
	body        TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE aliases (
	alias    TEXT PRIMARY KEY,
	incident TEXT NOT NULL REFERENCES incidents ON UPDATE CASCADE
) WITHOUT ROWID;
CREATE INDEX aliases_of ON aliases (incident);
CREATE TABLE parties (
	incident TEXT NOT NULL REFERENCES incidents ON UPDATE CASCADE,
	side     TEXT NOT NULL CHECK (side IN ('victim', 'server')),
	value    TEXT NOT NULL,
	PRIMARY KEY (incident, side, value)
) WITHOUT ROWID;
CREATE TABLE changes (
	id       INTEGER PRIMARY KEY,
	incident TEXT NOT NULL REFERENCES incidents ON UPDATE CASCADE,
	at       INTEGER NOT NULL,
	what     TEXT NOT NULL,
	was      TEXT NOT NULL,
	became   TEXT NOT NULL,
	why      TEXT NOT NULL,
	who      TEXT NOT NULL
);
CREATE INDEX changes_of ON changes (incident);
CREATE TABLE notes (
	id       INTEGER PRIMARY KEY,
	incident TEXT NOT NULL REFERENCES incidents ON UPDATE CASCADE,
	at       INTEGER NOT NULL,
	who      TEXT NOT NULL,
	text     TEXT NOT NULL
);
CREATE INDEX notes_of ON notes (incident);

CREATE TABLE sightings (
	detector TEXT NOT NULL,
	key      TEXT NOT NULL,
	first    INTEGER NOT NULL,
	last     INTEGER NOT NULL,
	incident TEXT REFERENCES incidents ON UPDATE CASCADE,
	aside    INTEGER NOT NULL DEFAULT 0,
	format   INTEGER NOT NULL,
	body     TEXT NOT NULL,
	PRIMARY KEY (detector, key)
) WITHOUT ROWID;
CREATE INDEX sightings_of ON sightings (incident);

CREATE TABLE holdings (
	address TEXT NOT NULL,
	source  TEXT NOT NULL,
	name    TEXT NOT NULL,
	first   INTEGER NOT NULL,
	last    INTEGER NOT NULL,
	PRIMARY KEY (address, source, name, first)
) WITHOUT ROWID;
CREATE INDEX holdings_by_name ON holdings (name);
CREATE TABLE importances (
	host  TEXT PRIMARY KEY,
	level TEXT NOT NULL,
	why   TEXT NOT NULL,
	who   TEXT NOT NULL,
	at    INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE sources (
	id       INTEGER PRIMARY KEY,
	name     TEXT NOT NULL UNIQUE,
	location TEXT NOT NULL,
	format   TEXT NOT NULL,
	licence  TEXT NOT NULL,
	etag     TEXT NOT NULL,
	sha256   TEXT NOT NULL,
	fetched  INTEGER NOT NULL,
	lines    INTEGER NOT NULL,
	holds    INTEGER NOT NULL,
	skipped  TEXT NOT NULL
);
CREATE TABLE indicators (
	source     INTEGER NOT NULL REFERENCES sources,
	type       TEXT NOT NULL,
	value      TEXT NOT NULL,
	added      INTEGER NOT NULL,
	tlp        INTEGER NOT NULL,
	confidence INTEGER NOT NULL,
	first      INTEGER NOT NULL,
	last       INTEGER NOT NULL,
	expires    INTEGER NOT NULL,
	marks      INTEGER NOT NULL,
	licence    TEXT,
	note       TEXT,
	threats    TEXT,
	PRIMARY KEY (source, type, value)
) WITHOUT ROWID;

CREATE TABLE allowances (
	id          INTEGER PRIMARY KEY,
	list        TEXT NOT NULL CHECK (list IN ('allow', 'protect')),
	value       TEXT NOT NULL,
	source      TEXT NOT NULL,
	destination TEXT NOT NULL,
	port        TEXT NOT NULL,
	network     TEXT NOT NULL,
	why         TEXT NOT NULL CHECK (why <> ''),
	who         TEXT NOT NULL,
	since       INTEGER NOT NULL,
	until       INTEGER NOT NULL,
	removed     INTEGER NOT NULL DEFAULT 0,
	removed_who TEXT NOT NULL DEFAULT '',
	removed_why TEXT NOT NULL DEFAULT ''
);
`

// schemaWatched is version 2: what was read and how long was watched.
const schemaWatched = `
CREATE TABLE inputs (
	hash    TEXT PRIMARY KEY,
	name    TEXT NOT NULL,
	first   INTEGER NOT NULL,
	last    INTEGER NOT NULL,
	packets INTEGER NOT NULL,
	read    INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE heartbeats (
	sensor  TEXT NOT NULL,
	link    TEXT NOT NULL,
	first   INTEGER NOT NULL,
	last    INTEGER NOT NULL,
	packets INTEGER NOT NULL,
	lost    TEXT NOT NULL,
	skew    INTEGER NOT NULL,
	PRIMARY KEY (sensor, link, first)
) WITHOUT ROWID;
`

// schemaBlocked is version 4.
const schemaBlocked = `
CREATE TABLE blocks (
	id       TEXT PRIMARY KEY,
	incident TEXT NOT NULL REFERENCES incidents ON UPDATE CASCADE,
	state    TEXT NOT NULL,
	action   TEXT NOT NULL,
	entity   TEXT NOT NULL,
	made     INTEGER NOT NULL,
	until    INTEGER NOT NULL,
	ended    INTEGER NOT NULL,
	format   INTEGER NOT NULL,
	body     TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX blocks_of ON blocks (incident);
CREATE INDEX blocks_by_state ON blocks (state);
`
