"""The action `call` of a consumer: which function of Python is called, and with what."""

from __future__ import annotations

import re

from tusk_runtime.expressions import Expression, Place, Scope, compile_value
from tusk_runtime.language.document import MapNode
from tusk_runtime.model.codes import BAD_NAME, BAD_VALUE
from tusk_runtime.model.consuming import Python
from tusk_runtime.model.reader import Reader
from tusk_runtime.types import JSON, Type

EVENT = "event"
"""The argument that every function gets."""
ARGUMENTS = Type("map", item=JSON.or_null())
GIVEN = Place("a function of Python gets it", "say that it may: `pii: true` beside `call`")
OPEN = Place(open=True)
_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_FUNCTION = re.compile(rf"{_NAME}(?:\.{_NAME})*:{_NAME}(?:\.{_NAME})*", re.ASCII)
_ARGUMENT = re.compile(_NAME, re.ASCII)


def read_call(
    allowed: bool, reader: Reader, scope: Scope, when: Expression | None, for_each: Expression | None
) -> Python | None:
    """The action in a map that holds `call`; None with problems noted. `allowed` is what `[runtime]` says."""
    before = len(reader.problems)
    function = reader.text("call")
    what = f"`call` of {reader.what}"
    if not allowed:
        reader.problems.error(
            BAD_VALUE,
            reader.span_of("call"),
            f"{what} runs Python, which [runtime] does not allow",
            help="write `allow_python: true` under `[runtime]`, if whoever edits this file may run programs",
        )
    if function and _FUNCTION.fullmatch(function) is None:
        reader.problems.error(
            BAD_NAME,
            reader.value_span("call"),
            f"{what} names no function",
            help='write the module and the function: `"module:function"`',
        )
    personal = reader.flag("pii")
    given = reader.map("with", "a map of arguments") or MapNode({}, reader.span_of("call"))
    for entry in given:
        if entry.key == EVENT or _ARGUMENT.fullmatch(entry.key) is None:
            reader.problems.error(
                BAD_NAME,
                entry.key_span,
                f"`{entry.key}` in `with` of {reader.what} cannot be an argument of a function",
                help="every function gets `event`: remove it"
                if entry.key == EVENT
                else "use letters, digits and `_`",
            )
    arguments = compile_value(given, scope, reader.problems, ARGUMENTS, OPEN if personal else GIVEN)
    if len(reader.problems) > before or arguments is None:
        return None
    return Python(function, arguments, personal, when, for_each, reader.span_of("call"))
