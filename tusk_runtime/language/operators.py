"""The table of load-time operators: how each is written, and what carries it out."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

from tusk_runtime.language import codes
from tusk_runtime.language.calculate import NUMBER, kind_of
from tusk_runtime.language.date_operator import FORM, run_date
from tusk_runtime.language.diagnostics import nearest
from tusk_runtime.language.document import Node, Scalar, ScalarNode, unresolved
from tusk_runtime.language.syntax_tree import Call, Member, Named, Value

if TYPE_CHECKING:
    from tusk_runtime.language.values import Values

VARIABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_TRUE, _FALSE = frozenset({"true", "1", "yes", "on"}), frozenset({"false", "0", "no", "off"})


class Operator(NamedTuple):
    """How an operator is written, what it gives, how many arguments it takes, and what carries it out.

    `run` is None for those of `@date`, which alone take methods.
    """

    form: str
    doc: str
    least: int
    most: int
    run: Callable[[Values, Call, Sequence[Value]], Node] | None = None


def run(values: Values, call: Call, methods: Sequence[Member]) -> Node:
    """Carry out a call that is not refused, with the methods behind it."""
    one = operator(call.name)
    arguments = [argument for argument in call.arguments if not isinstance(argument, Named)]
    if not one.least <= len(arguments) <= one.most:
        count = f"{one.least}" if one.least == one.most else f"{one.least} to {one.most}"
        message = f"`@{call.name}` takes {count} argument{'' if one.most == 1 else 's'}"
        values.bad_call(call.span, f"{message}, and has {len(arguments)}", one.form)
        return unresolved(call.span)
    if one.run is None:
        return run_date(values, call, arguments, methods)
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


def _env(values: Values, call: Call, arguments: Sequence[Value]) -> Node:
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


def _if(values: Values, call: Call, arguments: Sequence[Value]) -> Node:
    return values.choose(*arguments)


def _int(values: Values, call: Call, arguments: Sequence[Value]) -> Node:
    def read(value: Scalar) -> Scalar:
        if isinstance(value, Decimal):
            return int(value) if value == value.to_integral_value() else None
        if isinstance(value, str):
            return int(value) if NUMBER.match(value.strip()) and "." not in value else None
        return value if not isinstance(value, bool) else None

    return _converted(values, call, arguments[0], read, "a whole number")


def _float(values: Values, call: Call, arguments: Sequence[Value]) -> Node:
    def read(value: Scalar) -> Scalar:
        if isinstance(value, str):
            return Decimal(value.strip()) if NUMBER.match(value.strip()) else None
        return Decimal(value) if isinstance(value, int | Decimal) and not isinstance(value, bool) else None

    return _converted(values, call, arguments[0], read, "a number")


def _bool(values: Values, call: Call, arguments: Sequence[Value]) -> Node:
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


# ---- other files, and features --------------------------------------------------------------------


def _file(values: Values, call: Call, arguments: Sequence[Value]) -> Node:
    path = values.text(arguments[0], "@file")
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


def _tsk_get(values: Values, call: Call, arguments: Sequence[Value]) -> Node:
    path = values.text(arguments[0], f"@{call.name}")
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


def _feature(values: Values, call: Call, arguments: Sequence[Value]) -> Node:
    name = values.text(arguments[0], "@feature")
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
        FORM,
        "The moment of the load as a text, in UTC, in PHP's letters (`Y-m-d H:i:s`) or C's (`%Y-%m-%d`).",
        1, 2,
    ),
    "date.now": Operator("`@date.now()`", "The moment of the load: `2026-01-31T09:30:00Z`.", 0, 0),
    "date.add": Operator(
        '`@date.add("1d")` or `@date.add("1d", "Y-m-d")`',
        "A later moment. Spans are `30s 5m 1h 7d 2w 1mo 1y`: `m` is minutes, `mo` months.",
        1, 2,
    ),
    "date.subtract": Operator(
        '`@date.subtract("1h")` or `@date.subtract("7d", "Y-m-d")`', "An earlier moment.", 1, 2,
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
    return OPERATORS[canonical(name)]


def canonical(name: str) -> str:
    """The name under which the table has an operator."""
    return "name.tsk.get" if name.endswith(".tsk.get") else name
