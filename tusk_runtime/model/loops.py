"""`for_each`, `as` and `when`: the keys that repeat or leave out what stands beside them."""

from __future__ import annotations

from tusk_runtime.expressions import Expression, Scope, compile_condition, compile_value
from tusk_runtime.language.document import ScalarNode
from tusk_runtime.model.codes import MISSING_KEY, WRONG_TYPE
from tusk_runtime.model.named_types import BROKEN
from tusk_runtime.model.names import check_variable
from tusk_runtime.model.reader import Key, Reader
from tusk_runtime.model.scopes import with_item
from tusk_runtime.types import JSON, Type

WHEN = Key("when", "condition", "Only if this holds.")
FOR_EACH = Key("for_each", "list", "Once for each element of this list.")
AS = Key("as", "name", "The element's name in the other keys; `item` where nothing is said.")


def read_loop(reader: Reader, scope: Scope, outer: Scope | None = None) -> tuple[Scope, Expression | None]:
    """The scope beside `for_each` and `as`, and the compiled list; `outer` is the list's own scope."""
    node = reader.node_of("for_each")
    if node is None:
        if "as" in reader:
            reader.problems.error(
                MISSING_KEY,
                reader.span_of("as"),
                f"`as` in {reader.what} names the element of a `for_each`, and there is none",
                help='write `for_each: "{{ list }}"` beside it, or remove it',
            )
        return scope, None
    list_ = compile_value(node, outer or scope, reader.problems)
    name = reader.text("as") or "item"
    if not check_variable(reader.problems, name, reader.value_span("as"), set(scope.names)):
        return with_item(scope, "item", BROKEN), None
    item: Type = BROKEN
    if list_ is not None:
        type_ = list_.type
        if type_.kind == "list" and not type_.optional:
            item = type_.item or JSON
        elif type_.kind == "json":
            item = JSON
        else:
            text = node.value if isinstance(node, ScalarNode) else ""
            inner = str(text).strip().removeprefix("{{").removesuffix("}}").strip()
            if type_.kind == "list":
                advice = f'write `"{{{{ {inner} ?? [] }}}}"`'
            elif type_.kind == "map":
                advice = f'write `"{{{{ items({inner}) }}}}"`'
            else:
                advice = "write a `{{ }}` that gives a list"
            reader.problems.error(
                WRONG_TYPE,
                node.span,
                f"`for_each` of {reader.what} gives {type_}",
                label="expected a list",
                help=advice,
            )
    return with_item(scope, name, item), list_


def read_condition(reader: Reader, key: str, scope: Scope) -> Expression | None:
    """The condition under a key, or None if there is none or it is wrong."""
    node = reader.node_of(key)
    return compile_condition(node, scope, reader.problems) if node is not None else None
