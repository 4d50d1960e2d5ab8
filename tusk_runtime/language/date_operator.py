"""The operator `@date`: the moment of the load, moved and written as a text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tusk_runtime.language.dates import format_date, moved
from tusk_runtime.language.document import ScalarNode, unresolved
from tusk_runtime.language.source import Span
from tusk_runtime.language.syntax_tree import Call, Member, Named, Value

if TYPE_CHECKING:
    from tusk_runtime.language.values import Values

FORM = '`@date("Y-m-d")`, `@date.now()`, `@date.add("1d")` or `@date.subtract("1h")`'
_RELATIVE = re.compile(r"[\"']([+-]?)(\d+) (second|minute|hour|day|week|month|year)s?[\"']")


def run_date(values: Values, call: Call, arguments: Sequence[Value], methods: Sequence[Member]) -> ScalarNode:
    """The text of `@date("Y-m-d")` or `@date.add("1d")`, with `.add(…)` and `.format(…)` behind it."""
    if call.name == "date" and len(arguments) == 2:
        return _relative_date(values, call, arguments)
    moment: datetime = values.surroundings.now
    pattern: str | None = None
    steps: list[tuple[str, Sequence[Value | Named], Span]] = [
        (call.name.partition(".")[2] or "format", arguments, call.span),
        *((method.name, method.arguments or (), method.name_span) for method in methods),
    ]
    for step, given, span in steps:
        texts = [values.text(value, "@date") for value in given if not isinstance(value, Named)]
        if None in texts:
            return unresolved(call.span)
        if step == "now" and not texts:
            continue
        if step in ("add", "subtract") and len(texts) in (1, 2):
            if len(texts) == 2 and _is_span(texts[1] or "") and not _is_span(texts[0] or ""):
                form = f'`@date.{step}("{texts[1]}", "Y-m-d")`'
                values.bad_call(span, f"`@date.{step}` counts from now, and takes the span first", form)
                return unresolved(call.span)
            try:
                moment = moved(moment, texts[0] or "", 1 if step == "add" else -1)
            except ValueError:
                values.bad_call(span, f"`{texts[0]}` is no span of time", '`"30s"`, `"5m"`, `"7d"`, `"1mo"`')
                return unresolved(call.span)
            except OverflowError:
                values.bad_call(span, "this leaves the calendar", "a shorter span")
                return unresolved(call.span)
            pattern = texts[1] if len(texts) == 2 else pattern
        elif step == "format" and len(texts) == 1:
            pattern = texts[0]
        else:
            values.bad_call(span, f"`@date` has no `{step}` like this", FORM)
            return unresolved(call.span)
    try:
        text = format_date(moment, "c" if pattern is None else pattern)
    except ValueError:
        values.bad_call(call.span, f"`{pattern}` is no format of dates", '`@date("Y-m-d")`')
        return unresolved(call.span)
    if pattern is None:
        text = text.replace("+00:00", "Z")
    return ScalarNode(text, call.span, False, None, False, "@date")


def _is_span(text: str) -> bool:
    try:
        moved(datetime(2000, 1, 1, tzinfo=UTC), text, 1)
    except (ValueError, OverflowError):
        return False
    return True


def _relative_date(values: Values, call: Call, arguments: Sequence[Value]) -> ScalarNode:
    """PHP's `@date("Y-m", "-1 month")`, which has a form of its own here."""
    pattern, words = (argument.span.text for argument in arguments)
    match = _RELATIVE.fullmatch(words)
    if match is not None:
        unit = "mo" if match[3].startswith("mo") else match[3][0]
        verb = "subtract" if match[1] == "-" else "add"
        form = f'`@date.{verb}("{match[2]}{unit}", {pattern})`'
    else:
        form = 'the date itself, or count from now: `@date.add("1d", "Y-m-d")`'
    values.bad_call(arguments[1].span, "`@date` takes a format only", form)
    return unresolved(call.span)
