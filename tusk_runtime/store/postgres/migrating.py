"""Tables that an older version made, brought to the present schema in one transaction."""

# Names are checked and quoted before they come into a statement, values never do.
# ruff: noqa: S608

from __future__ import annotations

from typing import NamedTuple

import asyncpg
from sqlalchemy.dialects import postgresql

from tusk_runtime.errors import StartFailed
from tusk_runtime.store.migrations import statements
from tusk_runtime.store.naming import SCHEMA_VERSION
from tusk_runtime.store.postgres.connecting import LOCK_SECONDS
from tusk_runtime.store.postgres.names import Names
from tusk_runtime.store.postgres.opening import names_in, nothing_yet, schema_version
from tusk_runtime.store.postgres.rights import granted_again, granted_on_new
from tusk_runtime.store.postgres.schema import code
from tusk_runtime.store.protocol import Migration

STATEMENT_SECONDS = 600
"""How long one statement may take: a step may have to make an index over all events."""


class _Place(NamedTuple):
    """Whose the tables are, and in what schema."""

    schema: str
    owner: str
    role: str


async def migrate(connection: asyncpg.Connection, table: str | None, place: str, *, apply: bool) -> Migration:
    """Bring the tables of a store to the present schema. Raises StartFailed, and what asyncpg raises.

    Whoever appends meanwhile waits. Partitions, and who may do what, stay as they are.
    """
    names = await names_in(connection, table, place)
    async with connection.transaction():
        # Of several processes that migrate together one does it. Nobody can append.
        await connection.execute("SELECT pg_advisory_xact_lock($1)", names.lock)
        found = await schema_version(connection, names, place)
        if found is None:
            raise nothing_yet(place)
        if found == SCHEMA_VERSION:
            return Migration(found)
        where = await _place(connection, names)
        plan = [*_begin(names, where), *await _changes(connection, names, found)]
        if not apply:
            return Migration(found, ["BEGIN", *plan, "COMMIT"])
        try:
            for statement in plan:
                await connection.execute(statement, timeout=STATEMENT_SECONDS + 5)
        except asyncpg.InsufficientPrivilegeError as error:
            raise StartFailed(
                f"the role {where.role} may not change the tables in {place}, which belong to {where.owner}: "
                f"{error}",
                "name the address of a role that may: --connection-string",
            ) from None
    return Migration(found, plan)


async def _place(connection: asyncpg.Connection, names: Names) -> _Place:
    """The names in quotes, where they need any."""
    row = await connection.fetchrow(
        "SELECT quote_ident(current_schema()), quote_ident(pg_get_userbyid(relowner)), "
        "quote_ident(current_user) FROM pg_class WHERE oid = $1::regclass",
        names.meta,
    )
    return _Place(*row)


def _begin(names: Names, where: _Place) -> list[str]:
    """What makes every statement do the same in the shell of the database as here."""
    settings = {
        "search_path": where.schema,
        "lock_timeout": f"'{LOCK_SECONDS:g}s'",
        "statement_timeout": f"'{STATEMENT_SECONDS}s'",
    }
    if where.owner != where.role:
        settings["role"] = where.owner  # new tables belong to whom the others do
    return [
        *(f"SET LOCAL {name} TO {value}" for name, value in settings.items()),
        f"SELECT pg_advisory_xact_lock({names.lock})",
    ]


async def _changes(connection: asyncpg.Connection, names: Names, found: int) -> list[str]:
    dialect = postgresql.dialect(paramstyle="named")  # type: ignore[no-untyped-call]  # leaves % alone
    partitions = await connection.fetchval(
        "SELECT count(*) FROM pg_inherits WHERE inhparent = $1::regclass", names.events
    )
    return [
        *statements(found, dialect, names.prefix, names.log),
        *await _dropped(connection, names),
        *code(names, partitions),
        *await granted_again(connection, names),
        *await granted_on_new(connection, names),
        f"UPDATE {names.meta} SET value = '{SCHEMA_VERSION}' WHERE key = 'schema'",
    ]


async def _dropped(connection: asyncpg.Connection, names: Names) -> list[str]:
    """What takes away our functions, whatever their parameters are, and the triggers that call them."""
    functions = [names.append.strip('"'), names.refuse.strip('"')]
    ours = "proname = ANY($1) AND pronamespace = current_schema()::regnamespace"
    triggers = await connection.fetch(
        "SELECT format('DROP TRIGGER %I ON %s', tgname, tgrelid::regclass) FROM pg_trigger "
        "JOIN pg_proc ON tgfoid = pg_proc.oid "
        f"WHERE tgparentid = 0 AND {ours} ORDER BY tgrelid, tgname",
        functions,
    )
    made = await connection.fetch(
        f"SELECT format('DROP FUNCTION %s', oid::regprocedure) FROM pg_proc WHERE {ours} ORDER BY proname",
        functions,
    )
    return [statement for (statement,) in (*triggers, *made)]
