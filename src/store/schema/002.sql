-- What sessions were asked to run, and the driver-side process of each.

CREATE TABLE item (
    row          INTEGER PRIMARY KEY,
    session      INTEGER NOT NULL,   -- application of kind 'session'
    type         TEXT    NOT NULL,   -- 'statement': ids from 0; 'job': ids from 1
    id           INTEGER NOT NULL,   -- without gaps per session and type
    state        TEXT    NOT NULL,
    kind         TEXT    NOT NULL,   -- language
    created_ms   INTEGER NOT NULL,
    started_ms   INTEGER NOT NULL,
    completed_ms INTEGER NOT NULL,
    request      TEXT    NOT NULL,   -- the long ones last: reading the others does not read them
    output       TEXT                -- JSON
);

CREATE UNIQUE INDEX item_place ON item (session, type, id);

CREATE INDEX item_state ON item (state);   -- the start asks for the few that are not done

CREATE TABLE agent (
    session  INTEGER PRIMARY KEY,
    boot     TEXT    NOT NULL,       -- names the process; constant
    last_seq INTEGER NOT NULL,       -- never falls
    facts    TEXT                    -- JSON
);

CREATE TABLE item_key (
    session INTEGER NOT NULL,
    type    TEXT    NOT NULL,
    user    TEXT    NOT NULL,
    key     TEXT    NOT NULL,
    id      INTEGER NOT NULL,
    digest  TEXT    NOT NULL,
    PRIMARY KEY (session, type, user, key)
) WITHOUT ROWID;
