"""What only PostgreSQL can do, or do wrong."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest

from tests.conformance.test_event_store import decision
from tests.postgres_server import schema_for
from tusk_runtime.errors import (
    Conflict,
    OutcomeUnknown,
    StartFailed,
    StoreError,
    StoreUnavailable,
    Unavailable,
)
from tusk_runtime.events import new_id
from tusk_runtime.store.deliveries import Claim, Letter
from tusk_runtime.store.postgres import PostgresStore, appending, connecting
from tusk_runtime.store.protocol import StreamId

VERSIONS = ("18", "15")


@pytest.fixture(params=VERSIONS)
def version(request: pytest.FixtureRequest) -> str:
    chosen: str = request.param
    return chosen


@pytest.fixture
async def dsn(version: str, tmp_path: Path) -> str:
    return await schema_for(version, tmp_path)


@pytest.fixture
async def admin(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection to the same schema, for what another program might do."""
    connection = await asyncpg.connect(dsn)
    yield connection
    await connection.close()


@pytest.fixture
async def store(dsn: str) -> AsyncIterator[PostgresStore]:
    made = PostgresStore(dsn)
    await made.open()
    yield made
    await made.close()


class TestOpening:
    async def refused(self, dsn: str, *parts: str, **options: Any) -> None:
        store = PostgresStore(dsn, **options)
        with pytest.raises(StartFailed) as caught:
            await store.open()
        for part in parts:
            assert part in str(caught.value), str(caught.value)
        await store.close()

    async def test_nobody_listens(self) -> None:
        await self.refused("postgresql://postgres@127.0.0.1:1/shop", "127.0.0.1:1/shop", "start the server")

    async def test_no_such_host(self) -> None:
        await self.refused("postgresql://nowhere.invalid/shop", "nowhere.invalid:5432/shop", "check the host")

    async def test_no_such_database(self, dsn: str) -> None:
        url = urlsplit(dsn)._replace(path="/nowhere", query="").geturl()
        await self.refused(url, '"nowhere" does not exist', "createdb")

    @pytest.mark.parametrize("dsn", ["postgresql://u:hunter2@h:port/x", "postgresql://u:hunter2@[::1/x"])
    async def test_what_is_no_address_is_not_shown(self, dsn: str) -> None:
        with pytest.raises(StartFailed) as caught:
            await PostgresStore(dsn).open()
        assert "hunter2" not in str(caught.value)
        assert "postgresql://user:password@host" in str(caught.value)

    async def test_a_wrong_password_is_not_shown(self, dsn: str, admin: asyncpg.Connection) -> None:
        role = "r" + new_id().hex()[:12]
        url = urlsplit(dsn)
        await admin.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'right' CONNECTION LIMIT 0")
        await self.refused(
            url._replace(netloc=f"{role}:hunter2@127.0.0.1:{url.port}").geturl(), "too many connections"
        )
        assert "hunter2" not in PostgresStore(f"postgresql://{role}:hunter2@127.0.0.1/x").description

    async def test_a_role_without_rights(self, dsn: str, admin: asyncpg.Connection) -> None:
        role = "r" + new_id().hex()[:12]
        await admin.execute(f"CREATE ROLE {role} LOGIN; GRANT USAGE ON SCHEMA {_schema(dsn)} TO {role}")
        url = urlsplit(dsn)
        await self.refused(
            url._replace(netloc=f"{role}@127.0.0.1:{url.port}").geturl(), "permission denied", "GRANT"
        )

    async def test_a_role_that_may_use_the_tables_runs(
        self, dsn: str, store: PostgresStore, admin: asyncpg.Connection
    ) -> None:
        """What made the tables may go; who runs needs to read and to insert."""
        role, schema, url = "r" + new_id().hex()[:12], _schema(dsn), urlsplit(dsn)
        await admin.execute(
            f"CREATE ROLE {role} LOGIN; GRANT USAGE ON SCHEMA {schema} TO {role}; "
            f"GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA {schema} TO {role}; "
            f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA {schema} TO {role}"
        )
        other = PostgresStore(url._replace(netloc=f"{role}@127.0.0.1:{url.port}").geturl())
        await other.open()
        await other.events.append([decision("a", 0, "Placed")])
        assert await store.events.head() == 1
        await other.close()

    async def test_a_schema_that_is_not_there(self, dsn: str) -> None:
        await self.refused(
            dsn.replace("search_path=", "search_path=no_"), "none of the schemas", "search_path="
        )

    async def test_a_table_of_another_program(self, dsn: str, admin: asyncpg.Connection) -> None:
        await admin.execute("CREATE TABLE events (id integer)")
        await self.refused(dsn, "another program", "table_name", table="events")
        assert await admin.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = current_schema()") == 1

    async def test_looking_makes_nothing(self, dsn: str, admin: asyncpg.Connection) -> None:
        with pytest.raises(StartFailed, match="no tables"):
            await PostgresStore(dsn).open(read_only=True)
        assert await admin.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = current_schema()") == 0

    async def test_a_newer_schema(self, dsn: str, store: PostgresStore, admin: asyncpg.Connection) -> None:
        await admin.execute("UPDATE tusk_meta SET value = '99' WHERE key = 'schema'")
        await self.refused(dsn, "99", "upgrade tusk-runtime")

    async def test_many_processes_make_the_tables_at_once(self, dsn: str) -> None:
        stores = [PostgresStore(dsn) for _ in range(8)]
        await asyncio.gather(*(store.open() for store in stores))
        await asyncio.gather(
            *(store.events.append([decision(str(n), 0, "Placed")]) for n, store in enumerate(stores))
        )
        assert [event.position for event in await stores[0].events.read()] == list(range(1, 9))
        await asyncio.gather(*(store.close() for store in stores))

    async def test_two_stores_in_one_schema(self, dsn: str, store: PostgresStore) -> None:
        other = PostgresStore(dsn, table="events", partitions=3)
        await other.open()
        await other.events.append([decision("a", 0, "Placed", "Paid")])
        assert (await store.events.head(), await other.events.head()) == (0, 2)
        await other.close()


class TestSharing:
    async def test_another_process_wakes_who_waits(self, dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """By telling: nobody asks in this test."""
        monkeypatch.setattr("tusk_runtime.store.postgres.listening.POLL_SECONDS", 60)
        store, other = PostgresStore(dsn), PostgresStore(dsn)
        await store.open()
        await other.open()
        await asyncio.sleep(0.3)  # it listens
        waiting = asyncio.create_task(store.events.wait_beyond(0, 30))
        await asyncio.sleep(0.1)
        await other.events.append([decision("a", 0, "Placed")])
        assert await asyncio.wait_for(waiting, 10) == 1
        await store.close()
        await other.close()

    async def test_what_was_not_told_is_found(self, store: PostgresStore, admin: asyncpg.Connection) -> None:
        waiting = asyncio.create_task(store.events.wait_beyond(0, 10))
        await asyncio.sleep(0.1)
        await admin.execute("INSERT INTO tusk_names (name) VALUES ('Placed'), ('Order')")
        await admin.execute("INSERT INTO tusk_streams (aggregate_type, aggregate_id) VALUES (2, 'a')")
        await admin.execute("INSERT INTO tusk_events VALUES (1, 1, 1, 1, 0, '\\x00', NULL, 0, '{}', '{}')")
        assert await waiting == 1

    async def test_a_decision_on_an_old_version_is_a_conflict(self, dsn: str, store: PostgresStore) -> None:
        """Also one that writes no event: a refusal founded on what is not so any more must not be kept."""
        other = PostgresStore(dsn)
        await other.open()
        for number, stale in enumerate((("Shipped",), (), ())):
            id_ = f"a{number}"
            await store.events.append([decision(id_, 0, "Placed")])  # known by heart now
            await other.events.append([decision(id_, 1, "Paid")])
            late = decision(id_, 1, *stale, refusal=b"{}" if number == 2 else None)
            with pytest.raises(Conflict):
                await store.events.append([decision("new", 0, "Placed"), late])
            assert await store.events.recorded([late.command_id]) == {}
            await store.events.append([decision(id_, 2, "Shipped")])
        assert await store.events.read_stream(StreamId("Order", "new")) == []
        await other.close()

    async def test_many_writers_of_several_processes(self, dsn: str) -> None:
        """8 writers of each of 2 stores on 5 aggregates: versions are dense, readers see positions in order."""
        stores = [PostgresStore(dsn), PostgresStore(dsn)]
        for each in stores:
            await each.open()
        conflicts = 0

        async def write(store: PostgresStore, writer: int) -> None:
            nonlocal conflicts
            for round_ in range(25):
                stream = StreamId("Order", f"a{(writer + round_) % 5}")
                while True:
                    version = len(await store.events.read_stream(stream))
                    try:
                        await store.events.append([decision(stream.aggregate_id, version, "Placed")])
                        break
                    except Conflict:
                        conflicts += 1

        async def follow(store: PostgresStore, total: int) -> list[tuple[int, str, int]]:
            seen: list[tuple[int, str, int]] = []
            while len(seen) < total:
                page = await store.events.read(seen[-1][0] if seen else 0, 50)
                seen += [(event.position, event.aggregate_id, event.version) for event in page]
                if not page:
                    await store.events.wait_beyond(seen[-1][0] if seen else 0, 1)
            return seen

        total = 2 * 8 * 25
        readers = [asyncio.create_task(follow(store, total)) for store in stores]
        await asyncio.gather(*(write(store, number) for store in stores for number in range(8)))
        first, second = await asyncio.wait_for(asyncio.gather(*readers), 20)
        assert first == second
        assert [position for position, _, _ in first] == list(range(1, total + 1))
        for name in {name for _, name, _ in first}:
            versions = [version for _, each, version in first if each == name]
            assert versions == list(range(1, len(versions) + 1))
        assert conflicts > 0
        for each in stores:
            await each.close()


class TestFailing:
    async def test_a_connection_that_is_cut(self, store: PostgresStore, admin: asyncpg.Connection) -> None:
        """Whoever is idle notices nothing; what was in flight is unknown."""
        await store.events.append([decision("a", 0, "Placed")])
        await _cut(admin)
        assert len(await store.events.read()) == 1
        await store.events.append([decision("a", 1, "Paid")])
        assert await store.events.head() == 2

    async def test_a_log_that_went_back_is_not_continued(
        self, store: PostgresStore, admin: asyncpg.Connection
    ) -> None:
        """A database that was restored, or a replica that had not seen all, while the process lived on."""
        await store.events.append([decision("a", 0, "Placed", "Paid")])
        await admin.execute("ALTER TABLE tusk_events DISABLE TRIGGER tusk_immutable")
        await admin.execute("DELETE FROM tusk_events WHERE position = 2")
        with pytest.raises(StoreUnavailable, match="lost events"):
            await store.events.append([decision("b", 0, "Placed")])

    @pytest.mark.parametrize("action", ["UPDATE {} SET version = 9", "DELETE FROM {}", "TRUNCATE {}"])
    @pytest.mark.parametrize("partitions", [0, 2])
    async def test_nothing_that_was_written_changes(
        self, dsn: str, admin: asyncpg.Connection, action: str, partitions: int
    ) -> None:
        store = PostgresStore(dsn, table="events", partitions=partitions)
        await store.open()
        await store.events.append([decision(str(number), 0, "Placed") for number in range(20)])
        tables = ["events", "events_commands", *(f"events_{number}" for number in range(partitions))]
        for table in tables:
            with pytest.raises(asyncpg.PostgresError, match="immutable"):
                await admin.execute(action.format(table))
        assert await store.events.count(0) == 20
        await store.close()

    async def test_a_statement_that_takes_too_long(self, store: PostgresStore) -> None:
        with pytest.raises(Unavailable):
            await store.read_models.select("SELECT pg_sleep(5)", (), timeout=0.1)
        assert list(await store.read_models.select("SELECT 1", (), timeout=1)) == [(1,)]

    async def test_values_that_no_column_takes(self, store: PostgresStore) -> None:
        with pytest.raises(StoreError):
            await store.read_models.select("SELECT ?::integer", ("x",), timeout=1)
        with pytest.raises(StoreError):
            await store.events.append([decision("\ud800", 0, "Placed")])
        await store.deliveries.claim("mail", b"a", 60, begin=0)
        with pytest.raises(StoreError):
            await store.deliveries.save("mail", 1, 5, letters=[LETTER._replace(key="Order/\0")])
        assert await store.deliveries.progress() == {"mail": 0}
        await store.events.append([decision("a", 0, "Placed")])


class TestDeliveries:
    """A save that stands still in the middle: somebody else has locked the letter that it replaces."""

    @pytest.fixture
    async def saving(
        self, store: PostgresStore, admin: asyncpg.Connection
    ) -> AsyncIterator[asyncio.Task[None]]:
        await store.deliveries.claim("mail", b"a", 0, begin=0)
        await store.deliveries.save("mail", 1, 0, letters=[LETTER])
        async with admin.transaction():
            await admin.execute("SELECT FROM tusk_letters FOR UPDATE")
            task = asyncio.create_task(
                store.deliveries.save("mail", 1, 5, letters=[LETTER._replace(action=1)])
            )
            while not await admin.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
                await asyncio.sleep(0.01)
            yield task

    async def test_nobody_takes_over_before_it_is_done(
        self, dsn: str, saving: asyncio.Task[None], admin: asyncpg.Connection
    ) -> None:
        """Though its lease lapsed long ago."""
        other = PostgresStore(dsn)
        await other.open()
        claiming = asyncio.create_task(other.deliveries.claim("mail", b"b", 60, begin=0))
        done, _ = await asyncio.wait([claiming], timeout=0.3)
        assert not done
        await admin.execute("COMMIT; BEGIN")
        await saving
        assert await claiming == Claim(2, 5)
        await other.close()

    async def test_who_waits_for_it_does_not_wait_for_ever(
        self, dsn: str, saving: asyncio.Task[None], admin: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(connecting, "LOCK_SECONDS", 0.2)
        other = PostgresStore(dsn)
        await other.open()
        with pytest.raises(StoreUnavailable, match="lock timeout"):
            await other.deliveries.claim("mail", b"b", 60, begin=0)
        await other.close()
        await admin.execute("COMMIT; BEGIN")
        await saving

    async def test_cut_off_its_outcome_is_open(
        self, store: PostgresStore, saving: asyncio.Task[None], admin: asyncpg.Connection
    ) -> None:
        await _cut(admin)
        with pytest.raises(OutcomeUnknown):
            await saving
        assert await store.deliveries.progress() == {"mail": 0}
        assert await store.deliveries.letters("mail") == [LETTER]
        await admin.execute("COMMIT; BEGIN")
        await store.deliveries.save("mail", 1, 5, done=[("", 3)])
        assert await store.deliveries.letters("mail") == []


LETTER = Letter("", 3, "Order/a", "parked", 0, 1, 0, b"{}")


def _schema(dsn: str) -> str:
    return dsn.rpartition("search_path=")[2]


async def _cut(admin: asyncpg.Connection) -> None:
    await admin.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE application_name = 'tusk' AND pid <> pg_backend_pid()"
    )
    await asyncio.sleep(0.05)


async def test_one_that_stands_still_alone_is_not_waited_for(
    dsn: str, store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(appending, "HOLD_MILLISECONDS", 200)
    other = PostgresStore(dsn)
    await other.open()
    async with other.events.alone():
        async with asyncio.timeout(5):
            await store.events.append([decision("a", 0, "Placed")])
    await other.events.append([decision("a", 1, "Paid")])
    assert await store.events.head() == 2
    await other.close()
