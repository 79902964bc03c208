-- Applications, their history, and the keys of requests that may come twice.

CREATE TABLE node (
    name   TEXT PRIMARY KEY,
    fence  INTEGER NOT NULL          -- grows with each start; only the newest may write
);

CREATE TABLE counter (
    kind   TEXT PRIMARY KEY,
    next   INTEGER NOT NULL          -- ids are never used twice
);

CREATE TABLE application (
    kind         TEXT    NOT NULL,
    id           INTEGER NOT NULL,
    version      INTEGER NOT NULL,
    node         TEXT    NOT NULL,   -- whose driver it is
    state        TEXT    NOT NULL,
    name         TEXT,
    owner        TEXT,
    proxy_user   TEXT,
    app_id       TEXT,
    reason       TEXT,
    submission   TEXT    NOT NULL,   -- JSON
    facts        TEXT    NOT NULL,   -- JSON
    memory       INTEGER NOT NULL,   -- bytes
    pid          INTEGER NOT NULL,
    last_event   INTEGER NOT NULL,
    created_ms   INTEGER NOT NULL,
    started_ms   INTEGER NOT NULL,
    ended_ms     INTEGER NOT NULL,
    forgotten_ms INTEGER NOT NULL,
    PRIMARY KEY (kind, id)
) WITHOUT ROWID;

CREATE UNIQUE INDEX application_name ON application (kind, name)
    WHERE name IS NOT NULL AND forgotten_ms = 0;

CREATE TABLE note (
    kind   TEXT    NOT NULL,
    id     INTEGER NOT NULL,
    seq    INTEGER NOT NULL,
    at_ms  INTEGER NOT NULL,
    state  TEXT    NOT NULL,
    reason TEXT,
    PRIMARY KEY (kind, id, seq)
) WITHOUT ROWID;

CREATE TABLE request_key (
    user   TEXT    NOT NULL,
    key    TEXT    NOT NULL,
    kind   TEXT    NOT NULL,
    id     INTEGER NOT NULL,
    digest TEXT    NOT NULL,
    PRIMARY KEY (user, kind, key)
) WITHOUT ROWID;

CREATE INDEX request_key_application ON request_key (kind, id);
