CREATE TABLE tusk_checkpoints (
    table_name TEXT NOT NULL,
    name TEXT NOT NULL,
    definition TEXT NOT NULL,
    position INTEGER NOT NULL,
    PRIMARY KEY (table_name)
)
 WITHOUT ROWID,
 STRICT;

CREATE TABLE tusk_commands (
    command_id BLOB NOT NULL,
    fingerprint INTEGER NOT NULL,
    stream INTEGER NOT NULL,
    version INTEGER NOT NULL,
    position INTEGER NOT NULL,
    count INTEGER NOT NULL,
    refusal BLOB,
    PRIMARY KEY (command_id)
)
 WITHOUT ROWID,
 STRICT;

CREATE INDEX tusk_commands_idle ON tusk_commands (position, command_id) WHERE count = 0;

CREATE TABLE tusk_consumers (
    name TEXT NOT NULL,
    position INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    holder BLOB NOT NULL,
    until INTEGER NOT NULL,
    PRIMARY KEY (name)
)
 WITHOUT ROWID,
 STRICT;

CREATE TABLE tusk_events (
    position INTEGER NOT NULL,
    stream INTEGER NOT NULL,
    version INTEGER NOT NULL,
    type INTEGER NOT NULL,
    timestamp INTEGER NOT NULL,
    command_id BLOB NOT NULL,
    correlation_id BLOB,
    ordinal INTEGER NOT NULL,
    metadata BLOB NOT NULL,
    data BLOB NOT NULL,
    PRIMARY KEY (position)
)
 STRICT;

CREATE INDEX tusk_events_correlation ON tusk_events (correlation_id) WHERE correlation_id IS NOT NULL;

CREATE UNIQUE INDEX tusk_events_stream ON tusk_events (stream, version);

CREATE TABLE tusk_letters (
    consumer TEXT NOT NULL,
    source TEXT NOT NULL,
    position INTEGER NOT NULL,
    "key" TEXT NOT NULL,
    standing TEXT NOT NULL,
    action INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    timestamp INTEGER NOT NULL,
    error BLOB NOT NULL,
    PRIMARY KEY (consumer, source, position)
)
 WITHOUT ROWID,
 STRICT;

CREATE INDEX tusk_letters_key ON tusk_letters (consumer, "key", source, position);

CREATE INDEX tusk_letters_standing ON tusk_letters (consumer, standing, source, position);

CREATE TABLE tusk_meta (
    "key" TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY ("key")
)
 WITHOUT ROWID,
 STRICT;

CREATE TABLE tusk_names (
    id INTEGER NOT NULL,
    name TEXT NOT NULL,
    PRIMARY KEY (id),
    UNIQUE (name)
)
 STRICT;

CREATE TABLE tusk_reserved (
    constraint_id INTEGER NOT NULL,
    value BLOB NOT NULL,
    stream INTEGER NOT NULL,
    PRIMARY KEY (constraint_id, value)
)
 WITHOUT ROWID,
 STRICT;

CREATE TABLE tusk_snapshots (
    stream INTEGER NOT NULL,
    definition BLOB NOT NULL,
    version INTEGER NOT NULL,
    state BLOB NOT NULL,
    PRIMARY KEY (stream)
)
 WITHOUT ROWID,
 STRICT;

CREATE TABLE tusk_streams (
    id INTEGER NOT NULL,
    aggregate_type INTEGER NOT NULL,
    aggregate_id TEXT NOT NULL,
    PRIMARY KEY (id)
)
 STRICT;

CREATE UNIQUE INDEX tusk_streams_aggregate ON tusk_streams (aggregate_id, aggregate_type);

CREATE TABLE tusk_uniques (
    id INTEGER NOT NULL,
    aggregate_type INTEGER NOT NULL,
    definition BLOB NOT NULL,
    PRIMARY KEY (id),
    UNIQUE (definition)
)
 STRICT;

CREATE TRIGGER tusk_events_no_update BEFORE UPDATE ON tusk_events BEGIN SELECT raise(ABORT, 'tusk_events is immutable: UPDATE is refused'); END;

CREATE TRIGGER tusk_events_no_delete BEFORE DELETE ON tusk_events BEGIN SELECT raise(ABORT, 'tusk_events is immutable: DELETE is refused'); END;

CREATE TRIGGER tusk_commands_no_update BEFORE UPDATE ON tusk_commands BEGIN SELECT raise(ABORT, 'tusk_commands is immutable: UPDATE is refused'); END;

CREATE TRIGGER tusk_commands_no_delete BEFORE DELETE ON tusk_commands BEGIN SELECT raise(ABORT, 'tusk_commands is immutable: DELETE is refused'); END;
