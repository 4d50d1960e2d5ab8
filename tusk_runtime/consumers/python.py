"""The action `call`: a function of Python with its arguments."""

from __future__ import annotations

from tusk_runtime.consumers.outside import Outside
from tusk_runtime.consumers.performing import Arguments, Moment, value_of
from tusk_runtime.model.consuming import Python


class PythonCaller:
    """Calls functions of Python, each in a thread."""

    def __init__(self, outside: Outside) -> None:
        self._outside = outside

    def name(self, action: Python) -> str:
        """The function."""
        return f"call {action.function}"

    async def perform(self, action: Python, moment: Moment, arguments: Arguments, what: str) -> None:
        """Call it with what the file gives, and with the event."""
        given = value_of(action.arguments.function, arguments)
        await self._outside.run(action, {**given, "event": dict(arguments[1])})
