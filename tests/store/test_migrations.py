"""A store of an older version is brought to the present schema whole, or is left as it was."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import apsw
import asyncpg
import pytest

from tests.conformance.test_event_store import decision
from tests.postgres_server import schema_for
from tests.store.old_stores import CONSUMERS, LETTERS, ROWS, SNAPSHOT, VERSIONS, make_postgresql, make_sqlite
from tusk_runtime.errors import StartFailed
from tusk_runtime.events import new_id
from tusk_runtime.store import migrations
from tusk_runtime.store.deliveries import Claim, Deliveries, Letter
from tusk_runtime.store.naming import SCHEMA_VERSION
from tusk_runtime.store.postgres import PostgresStore
from tusk_runtime.store.protocol import Store, StreamId
from tusk_runtime.store.sqlite import SqliteStore
from tusk_runtime.store.verify import Verdict, verify

OLD = len(ROWS["events"])
LETTER = Letter("", 3, "Account/anna", "parked", 0, 1, 0, b"{}")
CHANGING = ("snapshots", "uniques", "reserved")
"""Tables of version 2 whose rows change; those of version 3 are `consumers` and `letters`."""


@pytest.fixture(params=VERSIONS)
def old(request: pytest.FixtureRequest) -> int:
    """The version that made the store."""
    chosen: int = request.param
    return chosen


async def goes_on(store: Store, old: int) -> None:
    """Whether what was stored is there, a command is answered from the ledger, and others are taken."""
    await store.open()
    verdict = await verify(store.events)
    assert replace(verdict, sha256="") == Verdict(events=OLD, aggregates=2, commands=3)
    repeated = ROWS["commands"][0][0]
    assert (await store.events.recorded([repeated]))[repeated].position == 2
    [written] = await store.events.append([decision("anna", 3, "Deposited", aggregate_type="Account")])
    assert (written.version, written.position) == (4, OLD + 1)
    [born] = await store.events.append([decision("carl", 0, "Opened", aggregate_type="Account")])
    assert (born.version, born.position) == (1, OLD + 2)
    events = await store.events.read_stream(StreamId("Account", "anna"))
    assert [event.version for event in events] == [1, 2, 3, 4]
    assert (await verify(store.events)).events == OLD + 2
    kept = await store.events.snapshots([StreamId("Account", "anna")])
    assert [each[1:] for each in kept.values()] == ([SNAPSHOT[1:]] if old > 1 else [])
    await kept_consuming(store.deliveries, old)
    await consumes(store.deliveries)
    await store.close()


async def kept_consuming(deliveries: Deliveries, old: int) -> None:
    """Whether a consumer that an older version ran goes on where it stood, with its letters."""
    stood = {name: position for name, position, *_ in CONSUMERS}
    assert await deliveries.progress() == (stood if old > 2 else {})
    assert await deliveries.letters("bills") == ([Letter(*row[1:]) for row in LETTERS] if old > 2 else [])
    if old > 2:
        assert await deliveries.claim("bills", b"b", 60, begin=0) == Claim(8, 3)
        await deliveries.save("bills", 8, 4, done=[("", 2)])
        assert [letter.position for letter in await deliveries.letters("bills")] == [3]


async def consumes(deliveries: Deliveries) -> None:
    """Whether consumers find their tables, and may do with them all that they do."""
    assert await deliveries.claim("mail", b"a", 60, begin=2) == Claim(1, 2)
    await deliveries.save("mail", 1, 3, letters=[LETTER, LETTER._replace(position=4)])
    assert await deliveries.mark("mail", [("", 3)], "retry") == 1
    await deliveries.save("mail", 1, 4, letters=[LETTER], done=[("", 4)])
    await deliveries.release("mail", b"a")
    assert await deliveries.take("mail", "orders/0", b"a") == Claim(1, -1)
    await deliveries.save("mail", 1, 5, source="orders/0", seen={"Account/anna": 2})
    assert await deliveries.seen("mail", ["Account/anna"]) == {"Account/anna": 2}
    assert await deliveries.letters("mail") == [LETTER]


def failing_step(op: Any, prefix: str, log: str) -> None:
    op.execute(f"CREATE TABLE {prefix}half (id integer)")
    op.execute(f"INSERT INTO {prefix}nowhere VALUES (1)")


class TestSqlite:
    @pytest.fixture
    def path(self, tmp_path: Path, old: int) -> Path:
        path = tmp_path / "bank.db"
        make_sqlite(path, old)
        path.chmod(0o600)
        return path

    def catalog(self, path: Path) -> list[Any]:
        connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
        rows = connection.execute(
            "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY 1, 2"
        ).fetchall()
        connection.close()
        return [(*names, sql and " ".join(sql.split())) for *names, sql in rows]

    def version(self, path: Path) -> str:
        connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
        [(found,)] = connection.execute("SELECT value FROM tusk_meta WHERE key = 'schema'").fetchall()
        connection.close()
        return str(found)

    async def test_it_becomes_what_a_new_one_is(self, path: Path, tmp_path: Path, old: int) -> None:
        new = SqliteStore(tmp_path / "new.db")
        await new.open()
        await new.close()
        done = await SqliteStore(path).migrate()
        assert done.found == old
        assert self.catalog(path) == self.catalog(tmp_path / "new.db")
        assert self.version(path) == str(SCHEMA_VERSION)
        await goes_on(SqliteStore(path), old)
        assert (await SqliteStore(path).migrate()).statements == ()

    async def test_a_start_says_what_to_do(self, path: Path, old: int) -> None:
        with pytest.raises(StartFailed, match=rf"schema is {old}(?s:.)*tusk migrate FILE"):
            await SqliteStore(path).open()
        assert self.version(path) == str(old)

    async def test_a_copy_is_kept_beside_it(self, path: Path, old: int) -> None:
        """It is a whole store of the older version, and no later copy takes its place."""
        before = self.catalog(path)
        done = await SqliteStore(path).migrate()
        copy = Path(done.backup)
        assert copy == path.with_name(f"bank.db.schema-{old}")
        assert copy.stat().st_mode & 0o777 == 0o600
        assert (self.version(copy), self.catalog(copy)) == (str(old), before)
        path.write_bytes(copy.read_bytes())
        again = await SqliteStore(path).migrate()
        assert Path(again.backup) == path.with_name(f"bank.db.schema-{old}.1")
        await goes_on(SqliteStore(path), old)

    async def test_looking_changes_nothing(self, path: Path) -> None:
        before = path.read_bytes()
        done = await SqliteStore(path).migrate(apply=False)
        assert done.statements[0] == "BEGIN IMMEDIATE"
        assert path.read_bytes() == before
        assert not list(path.parent.glob("*.schema-*"))

    async def test_the_statements_that_are_shown_do_it(self, path: Path, tmp_path: Path, old: int) -> None:
        done = await SqliteStore(path).migrate(apply=False)
        connection = apsw.Connection(str(path))
        for statement in done.statements:
            connection.execute(statement)
        connection.close()
        await goes_on(SqliteStore(path), old)

    async def test_an_error_leaves_it_as_it_was(
        self, path: Path, monkeypatch: pytest.MonkeyPatch, old: int
    ) -> None:
        before = self.catalog(path)
        monkeypatch.setitem(migrations.STEPS, SCHEMA_VERSION, failing_step)
        with pytest.raises(StartFailed, match="nowhere"):
            await SqliteStore(path).migrate()
        assert (self.version(path), self.catalog(path)) == (str(old), before)
        monkeypatch.undo()
        await SqliteStore(path).migrate()
        await goes_on(SqliteStore(path), old)

    async def test_killed_in_the_middle(self, path: Path, old: int) -> None:
        before = self.catalog(path)
        program = (
            "import asyncio, os, signal, sys; from tusk_runtime.store.sqlite import SqliteStore, migrating\n"
            "plan = migrating._plan\n"
            "class Dying(list):\n"
            "    def __iter__(self):\n"
            "        for number, statement in enumerate(list.__iter__(self)):\n"
            "            if number == 4: os.kill(os.getpid(), signal.SIGKILL)\n"
            "            yield statement\n"
            "migrating._plan = lambda *a: Dying(plan(*a))\n"
            "asyncio.run(SqliteStore(sys.argv[1]).migrate())\n"
        )
        done = subprocess.run([sys.executable, "-c", program, path], check=False, capture_output=True)
        assert done.returncode == -signal.SIGKILL, done.stderr.decode()
        assert (self.version(path), self.catalog(path)) == (str(old), before)
        await SqliteStore(path).migrate()
        await goes_on(SqliteStore(path), old)

    async def test_one_that_is_open(self, path: Path) -> None:
        """Of two that migrate together one is told of the other, and afterwards there is nothing to do."""
        await SqliteStore(path).migrate()
        store = SqliteStore(path)
        await store.open()
        with pytest.raises(StartFailed, match=f"already open in process {os.getpid()}"):
            await SqliteStore(path).migrate()
        await store.close()

    async def test_what_somebody_else_put_there_stays(self, path: Path) -> None:
        connection = apsw.Connection(str(path))
        connection.execute("CREATE TRIGGER mine AFTER INSERT ON tusk_events BEGIN SELECT 1; END")
        connection.close()
        await SqliteStore(path).migrate()
        assert "mine" in [name for _, name, *_ in self.catalog(path)]

    async def test_none_is_made(self, tmp_path: Path) -> None:
        with pytest.raises(StartFailed, match="no database"):
            await SqliteStore(tmp_path / "none.db").migrate()
        assert not list(tmp_path.iterdir())

    async def test_one_that_is_too_old(self, path: Path) -> None:
        connection = apsw.Connection(str(path))
        connection.execute("UPDATE tusk_meta SET value = '0' WHERE key = 'schema'")
        connection.close()
        with pytest.raises(StartFailed, match="schema 0"):
            await SqliteStore(path).migrate()


CATALOG = {
    "columns": """
        SELECT table_name, column_name, data_type, is_nullable, column_default, ordinal_position, collation_name
        FROM information_schema.columns WHERE table_schema = current_schema() ORDER BY 1, 6""",
    "tables": """
        SELECT relname, relkind, relispartition, pg_get_partkeydef(oid), pg_get_expr(relpartbound, oid),
               pg_get_userbyid(relowner)
        FROM pg_class WHERE relnamespace = current_schema()::regnamespace ORDER BY 1""",
    "indexes": "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = current_schema() ORDER BY 1",
    "constraints": """
        SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
        WHERE connamespace = current_schema()::regnamespace ORDER BY 1, 2""",
    "triggers": """
        SELECT tgrelid::regclass::text, tgname, tgenabled, pg_get_triggerdef(t.oid) FROM pg_trigger t
        JOIN pg_class c ON c.oid = tgrelid WHERE relnamespace = current_schema()::regnamespace ORDER BY 1, 2""",
    "functions": """
        SELECT proname, pg_get_functiondef(oid), pg_get_userbyid(proowner) FROM pg_proc
        WHERE pronamespace = current_schema()::regnamespace ORDER BY 1""",
    "sequences": """
        SELECT sequencename, data_type::text FROM pg_sequences WHERE schemaname = current_schema() ORDER BY 1""",
}


@pytest.mark.parametrize(
    ("version", "table", "partitions"),
    [("18", None, 0), ("15", "events", 4)],
    ids=["18", "15 with partitions"],
)
class TestPostgresql:
    @pytest.fixture
    async def dsn(self, version: str, tmp_path: Path) -> str:
        return await schema_for(version, tmp_path)

    @pytest.fixture
    async def admin(self, dsn: str, table: str | None, old: int) -> AsyncIterator[asyncpg.Connection]:
        """A connection to the schema, in which there is an old store."""
        connection = await asyncpg.connect(dsn)
        await make_postgresql(connection, table, old)
        yield connection
        await connection.close()

    @pytest.fixture
    def store(self, dsn: str, admin: asyncpg.Connection, table: str | None) -> PostgresStore:
        return PostgresStore(dsn, table=table)

    async def catalog(self, connection: asyncpg.Connection) -> dict[str, list[Any]]:
        """What is in a schema, without what stands for the schema's name."""
        await connection.execute("SELECT set_config('search_path', current_schema(), false)")
        schema = await connection.fetchval("SELECT current_schema()")
        lock = await connection.fetchval(
            r"SELECT substring(prosrc FROM 'pg_advisory_xact_lock\((-?\d+)\)') FROM pg_proc "
            "WHERE proname LIKE '%_append' AND pronamespace = current_schema()::regnamespace"
        )
        channel = f"tusk_{int(lock).to_bytes(8, 'big', signed=True).hex()}"

        def plain(value: Any) -> Any:
            if isinstance(value, bytes):
                value = value.decode()
            if not isinstance(value, str):
                return value
            return value.replace(f"{schema}.", "").replace(lock, "LOCK").replace(channel, "CHANNEL")

        return {
            name: [tuple(map(plain, row)) for row in await connection.fetch(sql)]
            for name, sql in CATALOG.items()
        }

    def migrated(self, admin: asyncpg.Connection, prefix: str) -> Any:
        return admin.fetchval(f"SELECT value FROM {prefix}meta WHERE key = 'schema'")

    @pytest.fixture
    def prefix(self, table: str | None) -> str:
        return f"{table}_" if table else "tusk_"

    async def test_it_becomes_what_a_new_one_is(
        self, store: PostgresStore, admin: asyncpg.Connection, version: str, table: str | None, partitions: int,
        dsn: str, tmp_path: Path, old: int,
    ) -> None:  # fmt: skip
        fresh = await schema_for(version, tmp_path / "fresh")
        new = PostgresStore(fresh, table=table, partitions=partitions)
        await new.open()
        await new.close()
        done = await store.migrate()
        assert done.found == old
        other = await asyncpg.connect(fresh)
        found, expected = await self.catalog(admin), await self.catalog(other)
        await other.close()
        assert found == expected
        assert len(found["triggers"]) >= 4 + partitions
        await goes_on(store, old)
        assert (await PostgresStore(dsn, table=table).migrate()).statements == ()

    async def test_a_start_says_what_to_do(
        self, store: PostgresStore, admin: asyncpg.Connection, prefix: str, partitions: int, old: int
    ) -> None:
        with pytest.raises(StartFailed, match=rf"schema is {old}(?s:.)*tusk migrate FILE"):
            await store.open()
        assert await self.migrated(admin, prefix) == str(old)

    async def test_the_statements_that_are_shown_do_it(
        self,
        store: PostgresStore,
        admin: asyncpg.Connection,
        prefix: str,
        dsn: str,
        partitions: int,
        old: int,
    ) -> None:
        """In a shell that looks elsewhere, too."""
        before = await self.catalog(admin)
        done = await store.migrate(apply=False)
        assert await self.catalog(admin) == before
        shell = await asyncpg.connect(urlsplit(dsn)._replace(query="").geturl())
        await shell.execute(";\n".join(statement.removesuffix(";") for statement in done.statements))
        await shell.close()
        assert await self.migrated(admin, prefix) == str(SCHEMA_VERSION)
        await goes_on(store, old)

    async def test_an_error_leaves_it_as_it_was(
        self, store: PostgresStore, admin: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch, prefix: str,
        partitions: int, old: int,
    ) -> None:  # fmt: skip
        before = await self.catalog(admin)
        monkeypatch.setitem(migrations.STEPS, SCHEMA_VERSION, failing_step)
        with pytest.raises(StartFailed, match="nowhere"):
            await store.migrate()
        assert await self.catalog(admin) == before
        assert await self.migrated(admin, prefix) == str(old)
        monkeypatch.undo()
        await store.migrate()
        await goes_on(store, old)

    async def test_cut_off_in_the_middle(
        self,
        store: PostgresStore,
        admin: asyncpg.Connection,
        monkeypatch: pytest.MonkeyPatch,
        partitions: int,
        old: int,
    ) -> None:
        before = await self.catalog(admin)

        def slow(*args: Any) -> Iterator[str]:
            yield "SELECT pg_sleep(30)"

        monkeypatch.setattr("tusk_runtime.store.postgres.migrating.code", slow)
        running = asyncio.create_task(store.migrate())
        sleeping = "FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
        while not await admin.fetchval(f"SELECT count(*) {sleeping}"):
            await asyncio.sleep(0.02)
        await admin.execute(f"SELECT pg_terminate_backend(pid) {sleeping}")
        with pytest.raises(StartFailed):
            await running
        assert await self.catalog(admin) == before
        monkeypatch.undo()
        await store.migrate()
        await goes_on(store, old)

    async def test_two_migrate_together(
        self, dsn: str, store: PostgresStore, table: str | None, partitions: int, old: int
    ) -> None:
        done = await asyncio.gather(*(PostgresStore(dsn, table=table).migrate() for _ in range(4)))
        assert sorted(bool(each.statements) for each in done) == [False, False, False, True]
        await goes_on(store, old)

    async def test_a_table_that_is_in_use(
        self, store: PostgresStore, admin: asyncpg.Connection, prefix: str, monkeypatch: pytest.MonkeyPatch,
        table: str | None, partitions: int, old: int,
    ) -> None:  # fmt: skip
        """Somebody reads for hours: whoever migrates gives up, and holds nobody up for longer."""
        monkeypatch.setattr("tusk_runtime.store.postgres.migrating.LOCK_SECONDS", 0.3)
        async with admin.transaction():
            await admin.fetch(f"SELECT * FROM {table or 'tusk_events'}")
            with pytest.raises(StartFailed, match="lock"):
                await asyncio.wait_for(store.migrate(), 5)
        assert await self.migrated(admin, prefix) == str(old)

    async def test_who_runs_needs_no_right_to_change_the_schema(
        self, dsn: str, store: PostgresStore, admin: asyncpg.Connection, table: str | None, prefix: str,
        partitions: int, old: int,
    ) -> None:  # fmt: skip
        """The owner migrates; the other role has afterwards the rights that it had."""
        owner, runner, schema = _role(), _role(), dsn.rpartition("search_path=")[2]
        newer = (*(CHANGING if old > 1 else ()), *(("consumers", "letters") if old > 2 else ()))
        changing = [f"{prefix}{name}" for name in ("checkpoints", *newer)]
        await admin.execute(
            f"CREATE ROLE {owner} LOGIN; CREATE ROLE {runner} LOGIN; "
            f"GRANT CREATE, USAGE ON SCHEMA {schema} TO {owner}; GRANT USAGE ON SCHEMA {schema} TO {runner}"
        )
        await admin.execute(_given_to(owner))
        await admin.execute(
            f"GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA {schema} TO {runner}; "
            f"GRANT UPDATE, DELETE ON {', '.join(changing)} TO {runner}; "
            f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA {schema} TO {runner}; "
            f"REVOKE ALL ON FUNCTION {prefix}append FROM PUBLIC; GRANT EXECUTE ON FUNCTION {prefix}append TO {runner}"
        )
        as_runner = PostgresStore(_as(runner, dsn), table=table)
        with pytest.raises(StartFailed) as caught:
            await as_runner.migrate()
        for part in (runner, f"belong to {owner}", "--connection-string"):
            assert part in str(caught.value)
        await PostgresStore(_as(owner, dsn), table=table).migrate()
        await goes_on(as_runner, old)
        for name in ("snapshots", "reserved", "consumers", "letters", "seen"):
            for right in ("SELECT", "INSERT", "UPDATE", "DELETE"):
                assert await admin.fetchval(
                    "SELECT has_table_privilege($1, $2, $3)", runner, f"{prefix}{name}", right
                )
        assert await admin.fetchval(
            "SELECT has_sequence_privilege($1, $2, 'USAGE')", runner, f"{prefix}uniques_id_seq"
        )
        assert not await admin.fetchval(
            "SELECT has_function_privilege('public', $1::regproc, 'EXECUTE')", f"{prefix}append"
        )

    async def test_what_a_superuser_makes_belongs_to_the_owner(
        self, dsn: str, store: PostgresStore, admin: asyncpg.Connection, partitions: int
    ) -> None:
        owner, schema = _role(), dsn.rpartition("search_path=")[2]
        await admin.execute(
            f"CREATE ROLE {owner}; GRANT CREATE, USAGE ON SCHEMA {schema} TO {owner}; "
            f"ALTER SCHEMA {schema} OWNER TO {owner}"
        )
        await admin.execute(_given_to(owner))
        await store.migrate()
        owners = {row[-1] for row in (await self.catalog(admin))["tables"]}
        assert owners == {owner}


async def test_nothing_is_made_by_migrating(tmp_path: Path) -> None:
    with pytest.raises(StartFailed, match="no tables"):
        await PostgresStore(await schema_for("18", tmp_path)).migrate()


def test_an_ordinary_start_does_not_pay_for_it() -> None:
    program = (
        "import sys, tusk_runtime.cli.main, tusk_runtime.cli.run, tusk_runtime.store.postgres, "
        "tusk_runtime.store.sqlite, tusk_runtime.running.backends; print('alembic' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout == "False\n"


def _given_to(owner: str) -> str:
    """What makes all tables and functions of a schema those of a role."""
    return (
        "DO $$ DECLARE it record; BEGIN FOR it IN SELECT oid::regclass AS name FROM pg_class "
        "WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p') LOOP "
        f"EXECUTE format('ALTER TABLE %s OWNER TO {owner}', it.name); END LOOP; "
        "FOR it IN SELECT oid::regprocedure AS name FROM pg_proc "
        "WHERE pronamespace = current_schema()::regnamespace LOOP "
        f"EXECUTE format('ALTER FUNCTION %s OWNER TO {owner}', it.name); END LOOP; END $$"
    )


def _role() -> str:
    return "r" + new_id().hex()[:12] + new_id().hex()[-6:]


def _as(role: str, dsn: str) -> str:
    url = urlsplit(dsn)
    return url._replace(netloc=f"{role}@127.0.0.1:{url.port}").geturl()
