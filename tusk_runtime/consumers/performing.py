"""What all actions share: the event that they are done upon, their values, and their ids."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Protocol, TypeVar

import orjson

from tusk_runtime.events import StoredEvent, id_from
from tusk_runtime.expressions import explain
from tusk_runtime.model.consuming import Action
from tusk_runtime.types import to_json

A = TypeVar("A", contravariant=True)
Arguments = tuple[Any, ...]
"""The values of the names that the expressions of an action see, and the event's id."""
_FORBIDDEN = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


class Moment(NamedTuple):
    """An event as actions see it: the arguments of their expressions, and how often it is sent again."""

    event: StoredEvent
    arguments: Arguments
    again: int


class Performer(Protocol[A]):
    """Does the actions of one kind, for one consumer."""

    def name(self, action: A) -> str:
        """What an action is called in ids: it stays the same when other actions come in front of it."""
        ...

    async def perform(self, action: A, moment: Moment, arguments: Arguments, what: str) -> object:
        """Do it once. `what` is its name, which of those of that name, and which element of `for_each`.

        Gives what later actions see under its name, if it has one.

        Raises ExpressionFailed, Refused or FinalFailure where trying again would not help; TechnicalFailure,
        Unavailable or OutcomeUnknown where it would.
        """
        ...


def calls(action: Action, moment: Moment) -> Iterator[tuple[Arguments, int]]:
    """The arguments for each element of `for_each` that `when` does not leave out, and its number."""
    identity = moment.event.event_id
    found = [moment.arguments]
    if action.for_each is not None:
        items = value_of(action.for_each.function, (*moment.arguments, identity))
        found = [(*moment.arguments, item, {"index": number}) for number, item in enumerate(items, 1)]
    for number, values in enumerate(found):
        arguments = (*values, identity)
        if action.when is None or value_of(action.when.function, arguments):
            yield arguments, number


def value_of(function: Callable[..., Any], arguments: Arguments, *, hidden: bool = False) -> Any:
    """The value of an expression. Raises ExpressionFailed, with `hidden` one that shows no values."""
    try:
        return function(*arguments)
    except Exception as error:
        raise explain(error, hidden=hidden) from error


def fields_of(function: Callable[..., Any], arguments: Arguments, *, hidden: bool = False) -> dict[str, Any]:
    """The fields of a command, as JSON has them. Raises ExpressionFailed, as `value_of`."""
    found: dict[str, Any] = orjson.loads(to_json(value_of(function, arguments, hidden=hidden)))
    return found


def text_of(value: Any) -> str:
    """The text of an id."""
    return value if isinstance(value, str) else to_json(value).decode().strip('"')


def id_of(group: str, event_id: bytes, what: str) -> bytes:
    """The id of what a consumer does upon an event, derived from all three."""
    return id_from(f"{group}\0{what}\0".encode() + event_id)


def breaks_headers(value: str) -> bool:
    """Whether a text holds what no header may hold, such as the end of a line."""
    return _FORBIDDEN.search(value) is not None
