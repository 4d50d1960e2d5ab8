"""Says why an operator cannot be used, and which declaration does the same."""

from __future__ import annotations

from collections.abc import Sequence

from tusk_runtime.language import codes
from tusk_runtime.language.diagnostics import Problems, nearest
from tusk_runtime.language.document import ScalarNode
from tusk_runtime.language.operators import AVAILABLE, OPERATORS, canonical, operator
from tusk_runtime.language.rejected import REJECTED, WRITING
from tusk_runtime.language.source import Span
from tusk_runtime.language.syntax_tree import Named, Value


def is_known(name: str) -> bool:
    """Whether a call of this name, without the `@`, is an operator at all, here or in another runtime."""
    head = name.partition(".")[0]
    return (
        canonical(name) in OPERATORS or head in ("env", "date", "file") or head in REJECTED or ".tsk." in name
    )


def refuse(name: str, span: Span, problems: Problems, arguments: Sequence[Value | Named] = ()) -> bool:
    """Tell why the operator `name` cannot be used. False, and nothing told, if it is available."""
    if canonical(name) in OPERATORS:
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
    elif canonical(name) in OPERATORS:
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
