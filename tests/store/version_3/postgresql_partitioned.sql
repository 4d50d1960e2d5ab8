CREATE TABLE events_meta (
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (key)
);

CREATE TABLE events_names (
    id SERIAL NOT NULL,
    name TEXT NOT NULL,
    PRIMARY KEY (id),
    UNIQUE (name)
);

CREATE TABLE events_streams (
    id BIGSERIAL NOT NULL,
    aggregate_type INTEGER NOT NULL,
    aggregate_id TEXT NOT NULL,
    PRIMARY KEY (id)
);

CREATE UNIQUE INDEX events_streams_aggregate ON events_streams (aggregate_id, aggregate_type);

CREATE TABLE events (
    position BIGINT NOT NULL,
    stream BIGINT NOT NULL,
    version INTEGER NOT NULL,
    type INTEGER NOT NULL,
    timestamp BIGINT NOT NULL,
    command_id BYTEA NOT NULL,
    correlation_id BYTEA,
    ordinal INTEGER NOT NULL,
    metadata BYTEA NOT NULL,
    data BYTEA NOT NULL,
    PRIMARY KEY (position, stream)
)
 PARTITION BY HASH (stream);

CREATE INDEX events_correlation ON events (correlation_id) WHERE correlation_id IS NOT NULL;

CREATE UNIQUE INDEX events_stream ON events (stream, version);

CREATE TABLE events_commands (
    command_id BYTEA NOT NULL,
    fingerprint BIGINT NOT NULL,
    stream BIGINT NOT NULL,
    version INTEGER NOT NULL,
    position BIGINT NOT NULL,
    count INTEGER NOT NULL,
    refusal BYTEA,
    PRIMARY KEY (command_id)
);

CREATE INDEX events_commands_idle ON events_commands (position, command_id) WHERE count = 0;

CREATE TABLE events_checkpoints (
    table_name TEXT NOT NULL,
    name TEXT NOT NULL,
    definition TEXT NOT NULL,
    position BIGINT NOT NULL,
    PRIMARY KEY (table_name)
);

CREATE TABLE events_snapshots (
    stream BIGINT NOT NULL,
    definition BYTEA NOT NULL,
    version INTEGER NOT NULL,
    state BYTEA NOT NULL,
    PRIMARY KEY (stream)
);

CREATE TABLE events_uniques (
    id SERIAL NOT NULL,
    aggregate_type INTEGER NOT NULL,
    definition BYTEA NOT NULL,
    PRIMARY KEY (id),
    UNIQUE (definition)
);

CREATE TABLE events_reserved (
    constraint_id INTEGER NOT NULL,
    value BYTEA NOT NULL,
    stream BIGINT NOT NULL,
    PRIMARY KEY (constraint_id, value)
);

CREATE TABLE events_consumers (
    name TEXT NOT NULL,
    position BIGINT NOT NULL,
    epoch BIGINT NOT NULL,
    holder BYTEA NOT NULL,
    until BIGINT NOT NULL,
    PRIMARY KEY (name)
);

CREATE TABLE events_letters (
    consumer TEXT NOT NULL,
    source TEXT COLLATE "C" NOT NULL,
    position BIGINT NOT NULL,
    key TEXT NOT NULL,
    standing TEXT NOT NULL,
    action INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    timestamp BIGINT NOT NULL,
    error BYTEA NOT NULL,
    PRIMARY KEY (consumer, source, position)
);

CREATE INDEX events_letters_key ON events_letters (consumer, key, source, position);

CREATE INDEX events_letters_standing ON events_letters (consumer, standing, source, position);

CREATE TABLE "events_0" PARTITION OF "events" FOR VALUES WITH (MODULUS 4, REMAINDER 0);

CREATE TABLE "events_1" PARTITION OF "events" FOR VALUES WITH (MODULUS 4, REMAINDER 1);

CREATE TABLE "events_2" PARTITION OF "events" FOR VALUES WITH (MODULUS 4, REMAINDER 2);

CREATE TABLE "events_3" PARTITION OF "events" FOR VALUES WITH (MODULUS 4, REMAINDER 3);

CREATE FUNCTION "events_refuse" () RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
    RAISE EXCEPTION '% is immutable: % is refused', TG_TABLE_NAME, TG_OP USING ERRCODE = 'raise_exception';
END $body$;

CREATE TRIGGER tusk_immutable BEFORE UPDATE OR DELETE ON "events" FOR EACH ROW EXECUTE FUNCTION "events_refuse" ();

CREATE TRIGGER tusk_immutable BEFORE UPDATE OR DELETE ON "events_commands" FOR EACH ROW EXECUTE FUNCTION "events_refuse" ();

CREATE TRIGGER tusk_whole BEFORE TRUNCATE ON "events" FOR EACH STATEMENT EXECUTE FUNCTION "events_refuse" ();

CREATE TRIGGER tusk_whole BEFORE TRUNCATE ON "events_0" FOR EACH STATEMENT EXECUTE FUNCTION "events_refuse" ();

CREATE TRIGGER tusk_whole BEFORE TRUNCATE ON "events_1" FOR EACH STATEMENT EXECUTE FUNCTION "events_refuse" ();

CREATE TRIGGER tusk_whole BEFORE TRUNCATE ON "events_2" FOR EACH STATEMENT EXECUTE FUNCTION "events_refuse" ();

CREATE TRIGGER tusk_whole BEFORE TRUNCATE ON "events_3" FOR EACH STATEMENT EXECUTE FUNCTION "events_refuse" ();

CREATE TRIGGER tusk_whole BEFORE TRUNCATE ON "events_commands" FOR EACH STATEMENT EXECUTE FUNCTION "events_refuse" ();

CREATE FUNCTION "events_append" (
    seen bigint, in_order boolean,
    new_types integer[], new_ids text[],
    checked bigint[], expected integer[],
    at bigint, meta bytea,
    e_stream bigint[], e_version integer[], e_type integer[], e_command bytea[], e_data bytea[],
    e_timestamp bigint[], e_correlation bytea[], e_ordinal integer[], e_metadata bytea[],
    c_fingerprint bigint[], c_stream bigint[], c_version integer[], c_command bytea[],
    c_offset bigint[], c_count integer[], c_refusal bytea[],
    types integer[], kept integer[],
    r_what integer[], r_promise integer[], r_value bytea[], r_stream bigint[],
    OUT head bigint, OUT streams bigint[]
) LANGUAGE plpgsql
-- What is here needs no other plan for other values, and planning cost a fifth of a small transaction. The
-- plan goes by indexes also if it was made while the tables were small: until somebody analyzed them, each
-- transaction read the whole table of streams else.
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
AS $body$
DECLARE
    behind text;
    newest bigint;
BEGIN
    -- Before a position is drawn: whoever has the lock sees all positions before his, and it is given back
    -- only when his own are visible. So positions become visible in order, and no reader skips one.
    PERFORM pg_advisory_xact_lock({lock});
    SELECT position, timestamp INTO head, newest FROM "events" ORDER BY position DESC LIMIT 1;
    head := coalesce(head, 0);
    IF in_order AND newest > at THEN
        RAISE EXCEPTION '%', newest USING ERRCODE = 'TK004';
    END IF;
    IF head < seen THEN
        RAISE EXCEPTION 'the log ends at % and held % before', head, seen USING ERRCODE = 'TK001';
    END IF;
    -- A process that does not know what is promised of a type would write values that nobody looks at.
    IF (SELECT coalesce(array_agg(id ORDER BY id), '{}') FROM "events_uniques" WHERE aggregate_type = ANY (types))
        <> kept THEN
        RAISE EXCEPTION 'other promises are kept' USING ERRCODE = 'TK002';
    END IF;
    IF cardinality(new_ids) > 0 THEN
        INSERT INTO "events_streams" (aggregate_type, aggregate_id)
            SELECT * FROM unnest(new_types, new_ids) ON CONFLICT DO NOTHING;
        SELECT array_agg(s.id ORDER BY w.number) INTO streams
            FROM unnest(new_types, new_ids) WITH ORDINALITY AS w (type, id, number)
            JOIN "events_streams" s ON s.aggregate_id = w.id AND s.aggregate_type = w.type;
    END IF;
    -- A stream below 0 is a new one, by its number from 1. Where nothing is written, nothing else would
    -- notice that the decision was made on an old version; nor that it was made on one that is not there.
    IF cardinality(checked) > 0 THEN
        SELECT format('stream %s is not at version %s', c.stream, c.version) INTO behind
            FROM unnest(checked, expected) AS c (stream, version)
            WHERE c.version <> coalesce((
                SELECT max(e.version) FROM "events" e
                WHERE e.stream = CASE WHEN c.stream < 0 THEN streams[-c.stream] ELSE c.stream END), 0)
            LIMIT 1;
        IF behind IS NOT NULL THEN
            RAISE EXCEPTION '%', behind USING ERRCODE = 'unique_violation';
        END IF;
    END IF;
    -- A column that says the same for all events comes as an empty array; unnest makes nulls of it.
    INSERT INTO "events" (position, stream, version, type, timestamp,
                          command_id, correlation_id, ordinal, metadata, data)
        SELECT head + e.number, CASE WHEN e.stream < 0 THEN streams[-e.stream] ELSE e.stream END,
               e.version, e.type, coalesce(e.timestamp, at), e.command, e.correlation,
               coalesce(e.ordinal, 0), coalesce(e.metadata, meta), e.data
        FROM unnest(e_stream, e_version, e_type, e_timestamp, e_command, e_correlation, e_ordinal,
                    e_metadata, e_data) WITH ORDINALITY
            AS e (stream, version, type, timestamp, command, correlation, ordinal, metadata, data, number);
    IF cardinality(c_command) = 0 THEN  -- each command has one event
        c_stream := e_stream;
        c_version := e_version;
        c_command := e_command;
    END IF;
    INSERT INTO "events_commands" (command_id, fingerprint, stream, version, position, count, refusal)
        SELECT c.command, c.fingerprint, CASE WHEN c.stream < 0 THEN streams[-c.stream] ELSE c.stream END,
               c.version, head + coalesce(c.behind, c.number), coalesce(c.count, 1), c.refusal
        FROM unnest(c_command, c_fingerprint, c_stream, c_version, c_offset, c_count, c_refusal)
            WITH ORDINALITY AS c (command, fingerprint, stream, version, behind, count, refusal, number);
    IF r_what IS NOT NULL THEN  -- 0: has to be free, 1: is let go, 2: is held by a stream from now on
        IF EXISTS (SELECT FROM unnest(r_what, r_promise, r_value) AS r (what, promise, value)
                   JOIN "events_reserved" h ON h.constraint_id = r.promise AND h.value = r.value
                   WHERE r.what = 0) THEN
            RAISE EXCEPTION 'a value is held already' USING ERRCODE = 'TK003';
        END IF;
        DELETE FROM "events_reserved" h USING unnest(r_what, r_promise, r_value) AS r (what, promise, value)
            WHERE h.constraint_id = r.promise AND h.value = r.value AND r.what = 1;
        INSERT INTO "events_reserved" (constraint_id, value, stream)
            SELECT r.promise, r.value, CASE WHEN r.stream < 0 THEN streams[-r.stream] ELSE r.stream END
            FROM unnest(r_what, r_promise, r_value, r_stream) AS r (what, promise, value, stream)
            WHERE r.what = 2;
    END IF;
    IF cardinality(e_stream) > 0 THEN
        PERFORM pg_notify('{channel}', (head + cardinality(e_stream))::text);
    END IF;
END $body$;
