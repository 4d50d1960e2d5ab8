"""The way from an older schema of the store's own tables to the present one, a step for each version.

Alembic's operations write the statements, for either database; the store's own connection runs them. The row
`schema` of the table `meta` is the only record of the version. Importing this costs as much as importing
Alembic: only `tusk migrate` does it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from io import StringIO

from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy.engine import Dialect

from tusk_runtime.errors import StartFailed
from tusk_runtime.store.migrations import version_2, version_3, version_4
from tusk_runtime.store.naming import SCHEMA_VERSION

Step = Callable[[Operations, str, str], None]
"""Changes tables. It is given how their names begin, and what the table of events is called."""

STEPS: dict[int, Step] = {2: version_2.upgrade, 3: version_3.upgrade, 4: version_4.upgrade}
"""What makes each version of the one before. A step never changes once it was released."""


def statements(found: int, dialect: Dialect, prefix: str, log: str) -> Iterator[str]:
    """What changes the tables from a version to the present one. Raises StartFailed for an unknown one.

    A text may hold several statements.
    """
    for version in range(found + 1, SCHEMA_VERSION + 1):
        if version not in STEPS:
            raise StartFailed(
                f"the tables have schema {found}, from which no way leads to {SCHEMA_VERSION}",
                "restore a backup of what the application wrote",
            )
        written = StringIO()
        context = MigrationContext.configure(dialect=dialect, opts={"as_sql": True, "output_buffer": written})
        STEPS[version](Operations(context), prefix, log)
        yield written.getvalue().strip()
