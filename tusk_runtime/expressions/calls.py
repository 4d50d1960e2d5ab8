"""Checks calls and filters against the table of functions."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

from tusk_runtime.expressions import codes
from tusk_runtime.expressions import syntax as s
from tusk_runtime.expressions.checker import Checker, visitor
from tusk_runtime.expressions.code import Code
from tusk_runtime.expressions.collections import comprehension
from tusk_runtime.expressions.hints import one_of
from tusk_runtime.expressions.registry import FUNCTIONS
from tusk_runtime.expressions.signatures import Parameter, Signature, accepts, shown
from tusk_runtime.types import TEXTS, Type, personal

_SPELLINGS: dict[str, str] = {
    "int": "here it is `integer(x)`", "float": "here it is `number(x)`, or exact `decimal(x)`",
    "str": "here it is `string(x)`", "bool": "here it is `boolean(x)`", "len": "here it is `length(x)`",
    "count": "here it is `length(x)`", "size": "here it is `length(x)`",
    "tojson": "here it is `to_json(x)`", "json": "here it is `to_json(x)`",
    "dumps": "here it is `to_json(x)`", "strip": "here it is `trim(s)`",
    "d": "here it is `default(x, y)` or `x ?? y`", "upper_case": "here it is `upper(s)`",
    "toupper": "here it is `upper(s)`", "tolower": "here it is `lower(s)`",
    "uppercase": "here it is `upper(s)`", "lowercase": "here it is `lower(s)`",
    "toUpperCase": "here it is `upper(s)`", "toLowerCase": "here it is `lower(s)`",
    "concat": "write `a + b`", "append": "write `list + [x]`", "push": "write `list + [x]`",
    "extend": "write `list + other`", "add": "write `list + [x]`", "map": "write `[x.field for x in list]`",
    "select": "write `[x for x in list if …]`", "filter": "write `[x for x in list if …]`",
    "reject": "write `[x for x in list if not …]`",
    "selectattr": "write `[x for x in list if x.field == …]`",
    "rejectattr": "write `[x for x in list if x.field != …]`",
    "groupby": "write a comprehension over `unique(…)`", "list": "here a list is a list already",
    "dict": "write `{'key': value}`", "dictsort": "write `sort(items(m), 'key')`",
    "reverse": "write `sort(list, 'field', true)`", "reversed": "write `sort(list, 'field', true)`",
    "sorted": "here it is `sort(list, 'field', descending)`", "pow": "multiply: `x * x`",
    "power": "multiply: `x * x`", "wordcount": "write `length(split(s, ' '))`",
    "format_date": "here it is `format(t, '%d.%m.%Y')`", "strftime": "here it is `format(t, '%d.%m.%Y')`",
    "strptime": "here it is `date(s)` or `datetime(s)`", "isoformat": "here it is `string(t)`",
    "date_format": "here it is `format(t, '%d.%m.%Y')`", "now": "write `now`, without brackets",
    "today": "write `day(now)`", "utcnow": "write `now`",
    "uuid4": "here it is `uuid()`, derived from the event, so that a replay repeats it",
    "random": "take it from the fields of the command: chance is not repeatable",
    "rand": "take it from the fields of the command: chance is not repeatable",
    "hash": "for a repeatable id write `uuid(parts…)`", "coalesce": "write `a ?? b`",
    "ifnull": "write `a ?? b`", "nvl": "write `a ?? b`", "isnull": "write `x == null`",
    "get": "write `map[key] ?? other`", "contains": "write `x in list`", "has": "write `key in map`",
    "includes": "write `x in list`", "startsWith": "here it is `startswith(s, t)`",
    "endsWith": "here it is `endswith(s, t)`", "regex": "here it is `matches(s, 'RE2')`",
    "match": "here it is `matches(s, 'RE2')`", "search": "here it is `matches(s, '.*RE2.*')`",
    "substring": "write `s[0:5]`", "substr": "write `s[0:5]`", "slice": "write `list[0:5]`",
    "batch": "write `[list[0:5], list[5:10]]`", "safe": "leave it out: nothing is escaped here",
    "escape": "leave it out: nothing is escaped here", "e": "leave it out: nothing is escaped here",
    "title": "write `upper(s[0:1]) + s[1:]`",
    "capitalize": "write `upper(s[0:1]) + s[1:]`", "trunc": "here it is `round(x, 0, 'down')`",
    "ceiling": "here it is `ceil(x)`", "average": "here it is `avg(list)`",
    "mean": "here it is `avg(list)`", "distinct": "here it is `unique(list)`", "attr": "write `x.field`",
    "center": "write it as it is: texts are not laid out here",
    "indent": "write it as it is: texts are not laid out here",
    "pprint": "here it is `to_json(x)`", "add_days": "write `t + duration('1d') * n`",
    "date_add": "write `t + '1d'`", "datediff": "write `days(a - b)`",
    "seconds_between": "write `seconds(a - b)`", "url_encode": "here it is `urlencode(s)`",
    "merge": "here it is `combine(a, b)`", "del": "here it is `omit(m, 'key')`",
    "keys_of": "here it is `keys(m)`", "entries": "here it is `items(m)`",
    "env": "`@env('X')` is read when the file is loaded, outside of `{{ }}`",
}  # fmt: skip
"""What other languages, Jinja2 first, call things that we have."""


def other_spelling(word: str) -> str:
    """How to write what another language calls by this name, or nothing."""
    return _SPELLINGS.get(word, "")


@visitor(s.Call)
def _call(c: Checker, syntax: s.Call, expected: Type | None) -> Code:
    place = (syntax.name_start, syntax.name_start + len(syntax.name))
    if syntax.name in ("lookup", "query"):
        return c.error(
            codes.NOT_YET,
            place,
            f"`{syntax.name}` is not available yet",
            "keep what is needed in the state, or in the columns of the projection",
        )
    function = FUNCTIONS.get(syntax.name)
    if function is None:
        known = other_spelling(syntax.name)
        if syntax.name in _SPELLINGS:
            what = "filter" if syntax.is_filter else "function"
            return c.error(codes.JINJA, place, f"there is no {what} `{syntax.name}`", known)
        return c.error(
            codes.UNKNOWN_FUNCTION,
            place,
            f"there is no function `{syntax.name}`",
            one_of(syntax.name, FUNCTIONS, "the functions"),
        )
    count = len(syntax.arguments)
    low, high = function.arity
    if count < low or (high is not None and count > high):
        message = f"`{syntax.name}` takes {_times(low, high)}, not {count}"
        return c.error(codes.ARGUMENTS, syntax, message, f"it is `{function.text}`")
    if function.build is not None:
        code = function.build(c, syntax, expected)
    else:
        code = plain_call(c, syntax, function.signatures, function.call, budget=function.budget)
    if function.carries == "all" and c.carried:
        code.type = personal(code.type)
    return code


def _times(low: int, high: int | None) -> str:
    def many(n: int) -> str:
        return f"{n} argument" + ("" if n == 1 else "s")

    if high is None:
        return f"at least {many(low)}"
    return many(low) if low == high else f"{low} to {many(high)}"


def plain_call(
    c: Checker,
    syntax: s.Call,
    signatures: tuple[Signature, ...],
    function: Callable[..., Any],
    *,
    budget: bool,
    extra: tuple[ast.expr, ...] = (),
) -> Code:
    """A call of a function whose types its signature tells."""
    arguments: list[Code] = []
    signature = signatures[0]
    bound: dict[str, Type] = {}
    for i, given in enumerate(syntax.arguments):
        parameter = signature.parameters[min(i, len(signature.parameters) - 1)]
        code = argument(c, given, parameter, syntax, bound)
        if not code.known:
            # The others may have problems of their own.
            for other in syntax.arguments[i + 1 :]:
                c.visit(other)
            return c.unknown(syntax)
        arguments.append(code)
    result = signature.result_type(bound)
    call = c.budgeted if budget else c.operation
    node = call(function, *(code.node for code in arguments), *extra)
    missing = any(code.missing for code in arguments)
    rounded = any(code.rounded for code in arguments) and result.kind == "decimal"
    return Code(node, result, syntax, rounded=rounded, missing=missing)


def argument(c: Checker, node: s.Syntax, parameter: Parameter, call: s.Call, bound: dict[str, Type]) -> Code:
    """One argument: checked, settled, converted to what the parameter takes."""
    code = visit_argument(c, node, parameter.hint(_text_value(node)))
    if not code.known:
        return code
    if not parameter.optional:
        code = c.settled(code, f"given to `{call.name}`")
        if not code.known:
            return code
    code = c.close(code)
    target = accepts(parameter, code.type, bound)
    if target is None:
        return wrong_argument(c, code, parameter.text, call)
    return c.convert(code, target) if target.kind != code.type.kind or code.type.kind == "list" else code


def wrong_argument(c: Checker, code: Code, wanted: str, call: s.Call) -> Code:
    """Say that an argument has the wrong type."""
    text = c.text_of(code.syntax)
    hint = f"give it {shown(wanted)}"
    if code.type.kind == "json" or (code.type.item is not None and code.type.item.kind == "json"):
        hint = f"say what it is: `decimal({text})`, `integer({text})`, `string({text})`"
        if code.type.kind == "list":
            hint = f"say what its entries are: `decimal(x) for x in {text}`"
    elif code.type.item is not None and code.type.item.optional:
        hint = f"leave the nulls out: `[x for x in {text} if x != null]`"
    elif code.type.item is not None and code.type.item.record is not None:
        hint = f"take a field of each: `x.field for x in {text}`"
    elif wanted == "list<N>" and code.type.item is not None and code.type.item.kind in TEXTS:
        hint = f"convert each: `decimal(x) for x in {text}`"
    elif "text" in wanted and code.type.kind not in ("list", "map", "record"):
        hint = f"write `string({text})`"
    elif code.type.kind in TEXTS and any(
        kind in wanted for kind in ("date", "moment", "duration", "integer", "number")
    ):
        hint = (
            f"convert it, as in `{'date' if 'date' in wanted or 'moment' in wanted else 'integer'}({text})`"
        )
    return c.error(
        codes.TYPE,
        code.syntax,
        f"`{call.name}` needs {shown(wanted)} here, `{text}` is of type {code.type}",
        hint,
    )


def visit_argument(c: Checker, node: s.Syntax, hint: Type | None, lazy: bool = False) -> Code:
    """An argument; a comprehension need not be kept as a list, the function consumes it."""
    if isinstance(node, s.Comprehension):
        return c.apart(comprehension, node, hint, lazy)
    return c.visit(node, hint)


def _text_value(node: s.Syntax) -> str | None:
    node = s.ungroup(node)
    return node.value if isinstance(node, s.Literal) and isinstance(node.value, str) else None


def literal_argument(c: Checker, node: s.Syntax, what: str, call: s.Call) -> Any:
    """The value of an argument that must be written out, or None with a problem noted."""
    bare = s.ungroup(node)
    if isinstance(bare, s.Literal) and bare.value is not None:
        return bare.value
    if (
        isinstance(bare, s.Sign)
        and isinstance(bare.operand, s.Literal)
        and isinstance(bare.operand.value, int)
    ):
        return -bare.operand.value if bare.op == "-" else bare.operand.value
    c.error(
        codes.ARGUMENTS,
        node,
        f"`{call.name}` needs {what} written out here",
        "write a literal, such as a quoted text",
    )
    return None
