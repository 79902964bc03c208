-- What is known of the Sparks that are offered to clients.

CREATE TABLE offer (
    name       TEXT PRIMARY KEY,
    version    INTEGER NOT NULL,       -- never falls
    updated_ms INTEGER NOT NULL,
    units      TEXT    NOT NULL        -- JSON; kept without units, too, for the version
) WITHOUT ROWID;
