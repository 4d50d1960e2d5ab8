"""The table of load-time operators: how each is written, what it does, and which others are refused."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from tusk_runtime.language import codes
from tusk_runtime.language.calculate import NUMBER, kind_of
from tusk_runtime.language.dates import format_date, moved
from tusk_runtime.language.diagnostics import Problems, nearest
from tusk_runtime.language.document import Node, Scalar, ScalarNode, unresolved
from tusk_runtime.language.rejected import REJECTED, WRITING
from tusk_runtime.language.source import Span
from tusk_runtime.language.syntax_tree import Call, Member, Named, Value

if TYPE_CHECKING:
    from tusk_runtime.language.values import Values

VARIABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_RELATIVE = re.compile(r"[\"']([+-]?)(\d+) (second|minute|hour|day|week|month|year)s?[\"']")
_TRUE, _FALSE = frozenset({"true", "1", "yes", "on"}), frozenset({"false", "0", "no", "off"})

Arguments = Sequence[Value]


@dataclass(frozen=True, slots=True)
class Operator:
    """How an operator is written, what it gives, how many arguments it takes, and what carries it out."""

    form: str
    doc: str
    least: int
    most: int
    run: Callable[[Values, Call, Arguments], Node]


def run(values: Values, call: Call, methods: Sequence[Member]) -> Node:
    """Carry out a call that is not refused, with the methods behind it."""
    one = operator(call.name)
    arguments = [argument for argument in call.arguments if not isinstance(argument, Named)]
    if call.name == "date" and len(arguments) == 2:
        return _relative_date(values, call, arguments)
    if not one.least <= len(arguments) <= one.most:
        count = f"{one.least}" if one.least == one.most else f"{one.least} to {one.most}"
        plural = "" if one.most == 1 else "s"
        values.bad_call(
            call.span, f"`@{call.name}` takes {count} argument{plural}, and has {len(arguments)}", one.form
        )
        return unresolved(call.span)
    if call.name.partition(".")[0] == "date":
        return _date(values, call, arguments, methods)
    if methods:
        values.error(
            codes.BAD_CALL,
            methods[0].name_span,
            f"the value of `@{call.name}` has no `.{methods[0].name}`",
            "remove it, and write the value as it is needed; a list is `[a, b]`",
        )
        return unresolved(call.span)
    return one.run(values, call, arguments)


# ---- the environment ------------------------------------------------------------------------------


def _env(values: Values, call: Call, arguments: Arguments) -> Node:
    name, secret = arguments[0], call.name == "env.secure"
    if not (isinstance(name, ScalarNode) and name.quoted and isinstance(name.value, str)):
        written = name.span.text if isinstance(name, ScalarNode) else "NAME"
        rest = f", {arguments[1].span.text[:40]}" if len(arguments) > 1 else ""
        message = "the name of the variable must stand in quotes"
        values.bad_call(name.span, message, f"`@{call.name}('{written}'{rest})`")
        return unresolved(call.span)
    if not VARIABLE_NAME.fullmatch(name.value):
        message = f"`{name.value}` cannot be the name of an environment variable"
        values.bad_call(name.span, message, "`@env('NAME')`")
        return unresolved(call.span)
    default = arguments[1].span.text if len(arguments) > 1 else None
    found = values.asked(name.value, call.span, default, secret)
    if found is not None:
        if len(arguments) > 1:
            values.look_through(arguments[1])
        return ScalarNode(found, call.span, secret=secret, origin=f"variable {name.value}")
    if len(arguments) == 1:
        return unresolved(call.span)
    node = values.node(arguments[1])
    if isinstance(node, ScalarNode):
        origin = f"default of {name.value}"
        return ScalarNode(node.value, call.span, node.quoted, None, secret or node.secret, origin)
    return node


# ---- conditions and conversions -------------------------------------------------------------------


def _if(values: Values, call: Call, arguments: Arguments) -> Node:
    return values.choose(*arguments)


def _int(values: Values, call: Call, arguments: Arguments) -> Node:
    def read(value: Scalar) -> Scalar:
        if isinstance(value, Decimal):
            return int(value) if value == value.to_integral_value() else None
        if isinstance(value, str):
            return int(value) if NUMBER.match(value.strip()) and "." not in value else None
        return value if not isinstance(value, bool) else None

    return _converted(values, call, arguments[0], read, "a whole number")


def _float(values: Values, call: Call, arguments: Arguments) -> Node:
    def read(value: Scalar) -> Scalar:
        if isinstance(value, str):
            return Decimal(value.strip()) if NUMBER.match(value.strip()) else None
        return Decimal(value) if isinstance(value, int | Decimal) and not isinstance(value, bool) else None

    return _converted(values, call, arguments[0], read, "a number")


def _bool(values: Values, call: Call, arguments: Arguments) -> Node:
    def read(value: Scalar) -> Scalar:
        word = str(value).strip().lower() if isinstance(value, str | int) else ""
        return word in _TRUE if word in _TRUE | _FALSE else None

    return _converted(values, call, arguments[0], read, "`true` or `false`")


def _converted(
    values: Values, call: Call, argument: Value, read: Callable[[Scalar], Scalar], what: str
) -> Node:
    node = values.operand(argument)
    if node is None:
        return unresolved(call.span)
    result = read(node.value) if isinstance(node, ScalarNode) else None
    if result is None:
        shown = kind_of(node)
        if isinstance(node, ScalarNode) and isinstance(node.value, str) and not node.secret:
            shown = f"`{node.value[:40]}`"
        values.no_value(
            argument.span, f"{shown} is not {what}", f"`@{call.name}` needs {what}, or the text of one"
        )
        return unresolved(call.span)
    secret = isinstance(node, ScalarNode) and node.secret
    return ScalarNode(
        result, call.span, False, None, secret, node.origin if isinstance(node, ScalarNode) else ""
    )


# ---- dates ----------------------------------------------------------------------------------------


def _date(values: Values, call: Call, arguments: Arguments, methods: Sequence[Member]) -> Node:
    moment: datetime = values.surroundings.now
    pattern: str | None = None
    steps: list[tuple[str, Sequence[Value | Named], Span]] = [
        (call.name.partition(".")[2] or "format", arguments, call.span),
        *((method.name, method.arguments or (), method.name_span) for method in methods),
    ]
    for step, given, span in steps:
        texts = [_text(values, value, "@date") for value in given if not isinstance(value, Named)]
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
            values.bad_call(span, f"`@date` has no `{step}` like this", operator("date").form)
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


def _relative_date(values: Values, call: Call, arguments: Arguments) -> Node:
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


def _unused(values: Values, call: Call, arguments: Arguments) -> Node:
    raise AssertionError("`run` carries out dates itself")


# ---- other files, and features --------------------------------------------------------------------


def _file(values: Values, call: Call, arguments: Arguments) -> Node:
    path = _text(values, arguments[0], "@file")
    read = values.surroundings.read_text
    if path is None or values.untaken:
        return unresolved(call.span)
    if read is None:
        values.no_value(call.span, "there is no folder to read from", "save the text as a file first")
        return unresolved(call.span)
    text = read(path, arguments[0].span)
    if text is None or not values.may_write(text, call.span):
        return unresolved(call.span)
    return ScalarNode(text, call.span, True, None, False, f"the file {path}")


def _tsk_get(values: Values, call: Call, arguments: Arguments) -> Node:
    path = _text(values, arguments[0], f"@{call.name}")
    load = values.surroundings.read_layer
    if path is None or values.untaken:
        return unresolved(call.span)
    name = call.name.removesuffix(".get")
    if load is None:
        values.no_value(call.span, "there is no folder to read from", "save the text as a file first")
        return unresolved(call.span)
    layer = load(name, call.name_span)
    if layer is None:
        return unresolved(call.span)
    found = layer.find(path.split("."))
    if found is None:
        keys = [entry.key for entry in layer.root]
        guess = nearest(path.partition(".")[0], keys)
        advice = f"did you mean `{guess}`?" if guess else f"its keys are {', '.join(keys[:8]) or 'none'}"
        values.no_value(arguments[0].span, f"{name} has no `{path}`", advice)
        return unresolved(call.span)
    return values.brought(found, call.span, f"{name}, {path}")


def _feature(values: Values, call: Call, arguments: Arguments) -> Node:
    name = _text(values, arguments[0], "@feature")
    if name is None:
        return unresolved(call.span)
    found = values.scope.find(["features", *name.split(".")])
    if found is not None:
        if len(arguments) > 1:
            values.look_through(arguments[1])
        return values.brought(found, call.span, f"[features] {name}")
    if len(arguments) > 1:
        return values.node(arguments[1])
    values.no_value(
        arguments[0].span,
        f"no feature `{name}` stands above",
        f"write `{name}: true` in `[features]` above, or give a default: `@feature('{name}', false)`",
    )
    return unresolved(call.span)


def _text(values: Values, value: Value, what: str) -> str | None:
    """The text of an argument; None if it is none, which is told."""
    node = values.operand(value)
    if isinstance(node, ScalarNode) and isinstance(node.value, str) and node.value:
        return node.value
    if node is not None and not values.untaken:
        message = f"`{what}` takes a text in quotes here, and this is {kind_of(node)}"
        values.bad_call(value.span, message, f"`{what}('…')`")
    return None


# ---- the table ------------------------------------------------------------------------------------

OPERATORS: dict[str, Operator] = {
    "env": Operator(
        "`@env('NAME')` or `@env('NAME', default)`",
        "The text of an environment variable, or the default. The only operator that is also carried out "
        "within a quoted text.",
        1, 2, _env,
    ),
    "env.secure": Operator(
        "`@env.secure('NAME')`", "The same, masked wherever it is shown.", 1, 2, _env,
    ),
    "if": Operator(
        "`@if(condition, yes, no)`", "One of two values; the same as `condition ? yes : no`.", 3, 3, _if,
    ),
    "int": Operator("`@int(x)`", "A whole number out of a text.", 1, 1, _int),
    "float": Operator("`@float(x)`", "An exact number out of a text.", 1, 1, _float),
    "bool": Operator(
        "`@bool(x)`", "`true` out of `true 1 yes on`, `false` out of `false 0 no off`.", 1, 1, _bool,
    ),
    "date": Operator(
        '`@date("Y-m-d")`, `@date.now()`, `@date.add("1d")` or `@date.subtract("1h")`',
        "The moment of the load as a text, in UTC, in PHP's letters (`Y-m-d H:i:s`) or C's (`%Y-%m-%d`).",
        1, 1, _unused,
    ),
    "date.now": Operator("`@date.now()`", "The moment of the load: `2026-01-31T09:30:00Z`.", 0, 0, _unused),
    "date.add": Operator(
        '`@date.add("1d")` or `@date.add("1d", "Y-m-d")`',
        "A later moment. Spans are `30s 5m 1h 7d 2w 1mo 1y`: `m` is minutes, `mo` months.",
        1, 2, _unused,
    ),
    "date.subtract": Operator(
        '`@date.subtract("1h")` or `@date.subtract("7d", "Y-m-d")`', "An earlier moment.", 1, 2, _unused,
    ),
    "file": Operator(
        "`@file('path')`", "The text of a file of at most 1 MiB in the project folder.", 1, 1, _file,
    ),
    "name.tsk.get": Operator(
        "`@name.tsk.get('section.key')`", "A value of the file `name.tsk` beside this one.", 1, 1, _tsk_get,
    ),
    "feature": Operator(
        "`@feature('name', default)`", "A value of `[features]`, or the default.", 1, 2, _feature,
    ),
}  # fmt: skip
"""Every operator that is carried out, by its name; `name.tsk.get` stands for any file's name."""

AVAILABLE = tuple(OPERATORS)


def operator(name: str) -> Operator:
    """The operator of a name that is available."""
    return OPERATORS[_canonical(name)]


def _canonical(name: str) -> str:
    return "name.tsk.get" if name.endswith(".tsk.get") else name


# ---- what is refused ------------------------------------------------------------------------------


def is_known(name: str) -> bool:
    """Whether a call of this name, without the `@`, is an operator at all, here or in another runtime."""
    head = name.partition(".")[0]
    return (
        _canonical(name) in OPERATORS
        or head in ("env", "date", "file")
        or head in REJECTED
        or ".tsk." in name
    )


def refuse(name: str, span: Span, problems: Problems, arguments: Sequence[Value | Named] = ()) -> bool:
    """Tell why the operator `name` cannot be used. False, and nothing told, if it is available."""
    if _canonical(name) in OPERATORS:
        return False
    head, _, rest = name.partition(".")
    writes = name.rpartition(".")[2] in WRITING
    if (head == "file" or ".tsk." in name) and writes:
        problems.error(
            codes.OPERATOR_REJECTED, span, f"`@{name}` writes, and loading a file changes nothing",
            help="remove it",
        )  # fmt: skip
    elif head.lower() in REJECTED:
        advice = REJECTED[head.lower()]
        problems.error(codes.OPERATOR_REJECTED, span, f"`@{name}` has no place in a declaration", help=advice)
    elif head == "env" and rest:
        problems.error(
            codes.UNKNOWN_OPERATOR, span, f"there is no operator `@{name}`",
            help=f"write `@env('{rest.upper().replace('.', '_')}')`, or `@env.secure('X')` for a secret",
        )  # fmt: skip
    elif head in OPERATORS and rest:
        problems.error(
            codes.UNKNOWN_OPERATOR,
            span,
            f"`@{head}` has no `.{rest}`",
            help=method_help(head, rest, arguments),
        )
    elif ".tsk." in name:
        problems.error(
            codes.UNKNOWN_OPERATOR, span, f"there is no operator `@{name}`",
            help=f"write `@{name.partition('.tsk.')[0]}.tsk.get('section.key')`",
        )  # fmt: skip
    else:
        problems.error(
            codes.UNKNOWN_OPERATOR, span, f"there is no operator `@{name}`", help=unknown_help(name)
        )
    return True


def method_help(head: str, method: str, arguments: Sequence[Value | Named] = ()) -> str:
    """What to write in place of a method that an operator of ours has elsewhere."""
    if head == "file" and method not in ("read", "get", "content", "contents", "load"):
        return (
            "which files are there must not decide what a declaration means: write the value, or use `@env`"
        )
    if head == "file" and arguments and isinstance(arguments[0], ScalarNode):
        return f"write `@file({arguments[0].span.text[:60]})`"
    return f"write {OPERATORS[head].form}"


def refuse_reference(name: str, span: Span, problems: Problems) -> bool:
    """Tell why an operator without brackets cannot be used; False if there is no such operator."""
    head, _, rest = name.partition(".")
    if head == "env" and rest and rest != "secure":
        problems.error(
            codes.BAD_CALL, span, f"`@{name}` is not how a variable is read", help=f"write `@env('{rest}')`"
        )
    elif _canonical(name) in OPERATORS:
        problems.error(codes.BAD_CALL, span, f"`@{name}` needs brackets", help=f"write {operator(name).form}")
    elif is_known(name):
        return refuse(name, span, problems)
    else:
        return False
    return True


def guess(name: str) -> str | None:
    """The operator that was probably meant. Of so few letters, another first one makes another word."""
    found = nearest(name, AVAILABLE)
    swapped = name[1:2].lower() == (found or " ")[0] and sorted(name.lower()) == sorted(found or "")
    return found if found is not None and (found[0] == name[0].lower() or swapped) else None


def unknown_help(name: str) -> str:
    """What to write in place of an operator that does not exist."""
    meant = guess(name)
    if meant:
        return f"did you mean `@{meant}`?"
    if name.isupper():
        return f"for a variable of the environment write `@env('{name}')`; a text stands in quotes"
    return (
        "write the value itself; at load there are `@env @if @date @file @feature @int @float @bool`, and "
        "what depends on events is written as `{{ … }}`"
    )
