-- Schedules, the history of their fires, and answers to operations that go on in the background.

CREATE TABLE schedule (
    id          INTEGER PRIMARY KEY,
    version     INTEGER NOT NULL,      -- grows with every change and every fire
    group_name  TEXT    NOT NULL,
    name        TEXT    NOT NULL,
    owner       TEXT,
    proxy_user  TEXT,
    door        TEXT,
    state       TEXT    NOT NULL,
    priority    INTEGER NOT NULL,
    due_ms      INTEGER NOT NULL,      -- 0: it does not fire
    steady      INTEGER NOT NULL,      -- whether due_ms is the end of a duration, and no instant
    fires       INTEGER NOT NULL,      -- number of the last one
    created_ms  INTEGER NOT NULL,
    changed_ms  INTEGER NOT NULL,
    progress    TEXT    NOT NULL,      -- JSON
    spec        TEXT    NOT NULL       -- JSON
);

CREATE UNIQUE INDEX schedule_name ON schedule (group_name, name);

CREATE INDEX schedule_group ON schedule (group_name);   -- by id within a group

CREATE INDEX schedule_id ON schedule (id);   -- to count rows, and to pass over them, without reading them

CREATE INDEX schedule_door ON schedule (door) WHERE door IS NOT NULL;

-- All that the start needs to know of each.
CREATE INDEX schedule_due ON schedule (due_ms, priority DESC, id, steady) WHERE due_ms > 0;

CREATE TABLE fire (
    schedule        INTEGER NOT NULL,
    number          INTEGER NOT NULL,  -- from 1, without gaps
    fence           INTEGER NOT NULL,  -- number of the node's start that wrote it
    cause           TEXT    NOT NULL,
    state           TEXT    NOT NULL,
    attempt         INTEGER NOT NULL,
    planned_ms      INTEGER NOT NULL,
    actual_ms       INTEGER NOT NULL,
    ended_ms        INTEGER NOT NULL,
    due_ms          INTEGER NOT NULL,
    batch           INTEGER NOT NULL,  -- id of its application, which may be gone; -1: none
    missed          INTEGER NOT NULL,
    missed_until_ms INTEGER NOT NULL,
    ended           INTEGER NOT NULL,
    reason          TEXT,
    token           TEXT,
    PRIMARY KEY (schedule, number)
) WITHOUT ROWID;

CREATE INDEX fire_open ON fire (schedule, number) WHERE ended = 0;   -- the start asks for these

CREATE TABLE token (
    token      TEXT PRIMARY KEY,
    door       TEXT    NOT NULL,
    facts      TEXT    NOT NULL,       -- JSON
    changed_ms INTEGER NOT NULL,
    ended      INTEGER NOT NULL
) WITHOUT ROWID;

CREATE INDEX token_door ON token (door, changed_ms);
