"""Every error that the runtime raises on purpose.

TuskError
├── InvalidConfiguration        the .tsk file, or something it names, is wrong (exit code 78)
├── StartFailed                 the configuration is right, but this machine cannot run it (exit code 1)
├── BadInput                    what should be imported is no whole export, or does not fit    (exit code 1)
├── Refused                     a request was understood and turned down; nothing was written
│   ├── UnknownName             no such command, query, aggregate type or projection           (404)
│   ├── NotFound                the aggregate or the row is not there                          (404)
│   ├── Invalid                 a field is missing, unknown or of the wrong type               (422)
│   ├── Forbidden               the caller may not                                             (403)
│   ├── RuleBroken              a state, a rule or existence says no                           (409)
│   ├── IdReused                the command id was used before, for another command            (422)
│   └── NotAccepted             a message from outside cannot become a command                 (422)
├── Unavailable                 not now: starting, stopping, overloaded, the disk is full      (503)
│   └── Overloaded              too many requests wait already                                 (429)
└── StoreError                  the store could not do what it was asked
    ├── Conflict                another writer was first: decide again
    │   ├── Taken               another aggregate holds a value that was to be unique
    │   └── Earlier             the log holds an event of a later time already
    ├── Superseded              another process keeps other promises about `unique`: reload or restart
    ├── StoreUnavailable        the store cannot write now: full, locked, read-only, gone
    └── OutcomeUnknown          the commit may or may not have happened: ask the ledger
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tusk_runtime.language.diagnostics import Diagnostic


class TuskError(Exception):
    """The root of all errors of this package."""


class InvalidConfiguration(TuskError):
    """The file is wrong. `diagnostics` says where, and what to write."""

    def __init__(self, diagnostics: Sequence[Diagnostic]) -> None:
        self.diagnostics = tuple(diagnostics)
        first = self.diagnostics[0] if self.diagnostics else None
        more = len(self.diagnostics) - 1
        text = f"{first.code} {first.message}" if first else "invalid configuration"
        super().__init__(text + (f" (and {more} more)" if more > 0 else ""))


class StartFailed(TuskError):
    """The machine cannot run what the file asks for: a port in use, a database that cannot be opened."""

    def __init__(self, message: str, help: str = "") -> None:  # noqa: A002 - the field's name everywhere
        self.message = message
        self.help = help
        super().__init__(message if not help else f"{message}\n  help: {help}")


class BadInput(TuskError):
    """What should be imported is no whole export, or does not fit: `line`, counted from 1, says where."""

    def __init__(self, line: int, message: str) -> None:
        self.line = line
        super().__init__(f"line {line}: {message}")


class Refused(TuskError):
    """A request that was turned down. Nothing was written.

    `kind` is the stable name in problem+json, `status` the HTTP status, `details` further members.
    """

    kind = "refused"
    status = 400

    def __init__(self, message: str, **details: Any) -> None:
        self.message = message
        self.details = details
        super().__init__(message)


class UnknownName(Refused):
    """No command, query, aggregate type or projection has this name."""

    kind = "unknown-name"
    status = 404


class NotFound(Refused):
    """The name is known, but there is no such aggregate or row."""

    kind = "not-found"
    status = 404


class Invalid(Refused):
    """A field is missing, unknown or of the wrong type. `details["errors"]` lists them all."""

    kind = "invalid"
    status = 422


class Forbidden(Refused):
    """The caller may not do this."""

    kind = "forbidden"
    status = 403


class RuleBroken(Refused):
    """A machine state, a `require` or the aggregate's existence says no."""

    kind = "rule-broken"
    status = 409


class IdReused(Refused):
    """The command id belongs to an earlier command with another name or other fields.

    `refused` tells that the earlier one was refused, and so changed nothing.
    """

    kind = "command-id-reused"
    status = 422

    def __init__(self, message: str, *, refused: bool = False, **details: Any) -> None:
        super().__init__(message, **details)
        self.refused = refused


class NotAccepted(Refused):
    """A message from outside cannot become a command: it is not what the rules of `accept` read."""

    kind = "not-accepted"
    status = 422


class Unavailable(TuskError):
    """The runtime cannot answer now: it starts, it stops, or its store cannot write."""

    kind = "unavailable"
    status = 503

    def __init__(self, message: str) -> None:
        self.message = message
        super().__init__(message)


class Overloaded(Unavailable):
    """More requests wait than the runtime is willing to hold."""

    kind = "overloaded"
    status = 429


class StoreError(TuskError):
    """The store could not do what it was asked."""


class Conflict(StoreError):
    """Another writer appended first, or used the command id first. Decide again on what is there now."""


class Taken(Conflict):
    """Another aggregate holds a value that a decision reserves.

    `holders` says who held which (`Reservation` → `StreamId`) just after; it is empty if they let go since.
    """

    def __init__(self, holders: Mapping[Any, Any]) -> None:
        self.holders = holders
        super().__init__("another aggregate holds a value that has to be unique")


class Earlier(Conflict):
    """The log holds an event of a later time than a decision. `newest` is that time, in microseconds."""

    def __init__(self, newest: int) -> None:
        self.newest = newest
        super().__init__("the newest event of the log is of a later time")


class Superseded(StoreError):
    """The store keeps other promises about a type of aggregates than this process knows of."""

    def __init__(self, aggregate_types: Iterable[str]) -> None:
        types = " and ".join(f"`{name}`" for name in sorted(aggregate_types))
        super().__init__(
            f"another process runs with another definition of what is unique in {types}: "
            "restart this one with the same file"
        )


class StoreUnavailable(StoreError):
    """The store cannot write now: disk full, locked, read-only, gone. Nothing was written."""


class OutcomeUnknown(StoreError):
    """The connection was lost around the commit. The ledger knows whether it happened."""
