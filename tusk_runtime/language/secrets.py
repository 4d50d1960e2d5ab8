"""What is hidden wherever values are shown: secrets by their operator, by their key's name, and in URLs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from tusk_runtime.language.document import ListNode, MapNode, Node, ScalarNode
from tusk_runtime.language.source import Span

MASK = "***"

_SECRET_KEY = re.compile(
    r"(?:^|[_-])(?:password|passwd|passphrase|pwd|secret|token|credential|sign[_-]with|"
    r"(?:api|private|access|encryption|signing|secret|auth|account)[_-]?key)s?\Z"
)
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_URL_PASSWORD = re.compile(r"(?<=://)([^/\s:@]*):[^/\s@]+@")
_TYPES = frozenset({"fields", "state", "columns", "params", "types"})
"""Under these keys stand the types of fields, whose names are no secrets' names."""


def is_secret_key(key: str) -> bool:
    """Whether a key by its name holds a secret, such as `db_password`, `apiKey` or `JWT_SECRET`."""
    return _SECRET_KEY.search(_CAMEL.sub("_", key).lower()) is not None


def shown(node: ScalarNode, *, secret: bool = False) -> Any:
    """The value of a node, with what is secret in it hidden; `secret`: its key says so."""
    value = node.value
    if node.secret:
        return MASK
    if not isinstance(value, str) or not value:
        return value
    if secret and "{{" not in value:
        return MASK
    return _URL_PASSWORD.sub(rf"\1:{MASK}@", value) if "://" in value else value


def masked(node: Node, *, key: str = "", types: bool = False) -> Any:
    """The plain tree of a node with every secret hidden. `key` stands above; `types`: it declares fields."""
    if isinstance(node, MapNode):
        types = types or key in _TYPES
        return {entry.key: masked(entry.node, key=entry.key, types=types) for entry in node.with_variables()}
    if isinstance(node, ListNode):
        return [masked(item, key=key, types=types) for item in node]
    return shown(node, secret=not types and is_secret_key(key))


class Leaf(NamedTuple):
    """A single value: its path, as `a.b[0]`, where its key or item stands, and what may be shown of it."""

    path: str
    span: Span
    node: Node
    value: Any


def leaves(node: Node, path: str = "", *, key: str = "", types: bool = False) -> Iterator[Leaf]:
    """Every single value, and every empty map and list."""
    if isinstance(node, MapNode) and (node.entries or node.variables):
        types = types or key in _TYPES
        for entry in node.with_variables():
            inner = f"{path}.{entry.key}" if path else entry.key
            if isinstance(entry.node, ScalarNode):
                value = shown(entry.node, secret=not types and is_secret_key(entry.key))
                yield Leaf(inner, entry.key_span, entry.node, value)
            else:
                yield from leaves(entry.node, inner, key=entry.key, types=types)
    elif isinstance(node, ListNode) and node.items:
        for index, item in enumerate(node):
            yield from leaves(item, f"{path}[{index}]", key=key, types=types)
    else:
        yield Leaf(path, node.span, node, masked(node, key=key, types=types))
