"""Who may use what a migration makes: the same roles as before."""

from __future__ import annotations

import asyncpg

from tusk_runtime.store.postgres.names import Names
from tusk_runtime.store.tables import describe

_GRANTS = """
    SELECT r.privilege_type, CASE r.grantee WHEN 0 THEN 'PUBLIC' ELSE r.grantee::regrole::text END AS grantee,
           CASE WHEN r.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END AS grantable
    FROM {catalog} o, aclexplode(o.{acl}) r
    WHERE o.oid = $1::{kind} AND r.grantee <> o.{owner} ORDER BY 2, 1
"""
_RELATION = _GRANTS.format(catalog="pg_class", acl="relacl", kind="regclass", owner="relowner")
_FUNCTION = _GRANTS.format(catalog="pg_proc", acl="proacl", kind="regproc", owner="proowner")


async def granted_again(connection: asyncpg.Connection, names: Names) -> list[str]:
    """What gives the function that appends the rights that it had, if they are not those of any function."""
    special = await connection.fetchval(
        "SELECT proacl IS NOT NULL FROM pg_proc WHERE oid = $1::regproc", names.append
    )
    if not special:
        return []
    rows = await connection.fetch(_FUNCTION, names.append)
    return [
        f"REVOKE ALL ON FUNCTION {names.append} FROM PUBLIC",
        *(f"GRANT {right} ON FUNCTION {names.append} TO {who}{more}" for right, who, more in rows),
    ]


async def granted_on_new(connection: asyncpg.Connection, names: Names) -> list[str]:
    """What gives new tables the rights that there are on the table of checkpoints.

    That is one that whoever runs reads, fills, and changes, and whoever may only look reads.
    """
    on_tables = await connection.fetch(_RELATION, names.checkpoints)
    on_sequences = await connection.fetch(_RELATION, f'"{names.prefix}names_id_seq"')
    given = []
    for table in describe(names.prefix, names.log):
        if await connection.fetchval("SELECT to_regclass($1) IS NOT NULL", f'"{table.name}"'):
            continue
        targets = [(f'TABLE "{table.name}"', on_tables)]
        if (column := table.autoincrement_column) is not None:
            targets.append((f'SEQUENCE "{table.name}_{column.name}_seq"', on_sequences))
        given += [
            f"GRANT {right} ON {target} TO {who}{more}"
            for target, rows in targets
            for right, who, more in rows
        ]
    return given
