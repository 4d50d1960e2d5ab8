"""Reads the text of a type, such as `list<OrderLine>(min=1)?`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache, partial
from typing import Any, NamedTuple, get_args

from tusk_runtime.language.automaton import Automaton, Grammar, grammar
from tusk_runtime.language.diagnostics import Code, Problems, did_you_mean, nearest
from tusk_runtime.language.document import ScalarNode
from tusk_runtime.language.words import Word, words_of
from tusk_runtime.types import codes
from tusk_runtime.types.constraints import LENGTHS
from tusk_runtime.types.hints import EXAMPLE, how_to_write, misplaced, unknown_type
from tusk_runtime.types.kinds import ABSENT, MAX_DIGITS, Name, Type
from tusk_runtime.types.patterns import compile_pattern
from tusk_runtime.types.personal import personal
from tusk_runtime.types.reading import Reader, read_value
from tusk_runtime.types.values import show


class _Tree(NamedTuple):
    """What a rule of the grammar has read, between two offsets, without its signs."""

    data: str
    children: list[Any]
    start_pos: int
    end_pos: int


class TypeText(NamedTuple):
    """What a type text says: the type, and the default as a run-time value (ABSENT if there is none)."""

    type: Type
    default: Any = ABSENT


BUILT_IN: Mapping[str, Type] = {
    name: Type(name) for name in get_args(Name) if name not in ("record", "null", "list", "map", "enum")
}
"""The types that are a word of their own."""

CONSTRAINTS: Mapping[str, tuple[str, ...]] = {
    "string": ("min", "max", "pattern"),
    "email": ("min", "max", "pattern"),
    "url": ("min", "max", "pattern"),
    "uuid": ("min", "max", "pattern"),
    "integer": ("min", "max"),
    "number": ("min", "max"),
    "decimal": ("min", "max", "places"),
    "datetime": ("min", "max"),
    "date": ("min", "max"),
    "duration": ("min", "max"),
    "bytes": ("min", "max"),
    "list": ("min", "max", "unique"),
    "map": ("min", "max", "unique"),
}
"""The constraints of each kind; a kind that is not here has none."""

MAX_TEXT = 4096
MAX_DEPTH = 32
MAX_SIZE = 10_000

_WORD = re.compile(r"\s*([A-Za-z_]\w*)(\?)?\s*", re.ASCII)
_CACHE: dict[str, TypeText] = {}
_KEPT = ("WORD", "STRING", "OPTIONAL")
"""The terminals that say something by what they are; the others are signs."""


def parse_type(node: ScalarNode, named: Mapping[str, Type], problems: Problems) -> TypeText | None:
    """The type that a text stands for, or None with a problem noted.

    `named` are the types that the file declares. They may not have the names of built-in ones.
    """
    text = node.value
    if not isinstance(text, str):
        problems.error(
            codes.SYNTAX,
            node.span,
            f"a type is a text, not {show(text)}",
            help='write the name of a type, such as `"integer"`',
        )
        return None
    if (known := _CACHE.get(text)) is not None:
        return known
    if (match := _WORD.fullmatch(text)) and (found := BUILT_IN.get(match[1]) or named.get(match[1])):
        if match[1] not in BUILT_IN and not _size_allowed(found, node, problems):
            return None
        result = TypeText(found.or_null() if match[2] else found)
        if match[1] in BUILT_IN:
            _CACHE[text] = result
        return result
    reader = _TypeReader(node, text, named, problems)
    parsed = reader.parse()
    if parsed is not None and not reader.used_named and len(_CACHE) < 4096:
        _CACHE[text] = parsed
    return parsed


class _Wrong(Exception):
    """A problem has been noted; there is no type."""


class _TypeReader:
    """Turns one text into a type; one instance per text."""

    def __init__(self, node: ScalarNode, text: str, named: Mapping[str, Type], problems: Problems) -> None:
        self.used_named = False
        self._node = node
        self._text = text
        self._named = named
        self._problems = problems

    def parse(self) -> TypeText | None:
        try:
            tree = self._tree()
            parts: dict[str, Any] = {child.data: child for child in tree.children}
            type_ = self._type(parts["type"], 0)
            if (mark := parts.get("mark")) is not None:
                self._mark(mark)
            if not _size_allowed(type_, self._node, self._problems):
                return None
            default = next((c for c in tree.children if c.data.endswith("default")), None)
            # What stands in the file is nobody's data: a default that does not fit is told as it is.
            value = ABSENT if default is None else self._default(type_, default)
            return TypeText(personal(type_) if mark is not None else type_, value)
        except _Wrong:
            return None

    def _tree(self) -> _Tree:
        if len(self._text) > MAX_TEXT:
            raise self._wrong(
                codes.NESTING,
                0,
                len(self._text),
                f"a type text of more than {MAX_TEXT} characters",
                "name parts of it under `[types]`",
            )
        if self._text.count("<") > MAX_DEPTH:
            raise self._wrong(
                codes.NESTING,
                0,
                len(self._text),
                f"types nest at most {MAX_DEPTH} deep",
                "take a level out, or use `json`",
            )
        cut, grammar_ = _grammar()
        automaton = Automaton(grammar_)
        wrong = automaton.finish(cut(self._text))
        if wrong is not None:
            raise self._misplaced(wrong)
        tree: _Tree = automaton.values[0]
        return tree

    def _misplaced(self, word: Word) -> _Wrong:
        at, end, found = word.start_pos, word.end_pos, f"`{word.text}`"
        if not self._text.strip():
            return self._wrong(codes.SYNTAX, 0, len(self._text), "an empty type", EXAMPLE)
        if word.type == "$END":
            at = end = len(self._text.rstrip())
            found = "the end"
        elif word.text in "'\"":
            advice = f"close it with {found}"
            return self._wrong(codes.SYNTAX, at, len(self._text), "a quote that is never closed", advice)
        return self._wrong(codes.SYNTAX, at, end, f"{found} does not belong here", misplaced(self._text, at))

    def _type(self, tree: _Tree, depth: int) -> Type:
        head: Word = tree.children[0]
        name = head.text
        inner = next((c for c in tree.children[1:] if getattr(c, "data", "") == "type"), None)
        arguments = [c for c in tree.children[1:] if getattr(c, "data", "") in ("argument", "setting")]
        item = self._type(inner, depth + 1) if inner is not None else None
        mark = next((c for c in tree.children if getattr(c, "data", "") == "mark"), None)
        if item is not None and mark is not None:
            self._mark(mark)
            item = personal(item)
        if name in ("list", "map"):
            if item is None:
                raise self._wrong(
                    codes.SYNTAX, *_place(head), f"a {name} of what?", f"write `{name}<string>`"
                )
            base = Type(name, item=item)  # type: ignore[arg-type]
        elif item is not None and inner is not None:
            end = inner.end_pos + 1
            raise self._wrong(
                codes.SYNTAX,
                _place(head)[0],
                end,
                f"`{name}` takes no type in `<>`",
                "only `list<T>` and `map<T>` do",
            )
        elif name == "enum":
            base = self._enum(head, arguments)
            arguments = []
        else:
            base = self._named_type(head)
        for argument in arguments:
            base = self._constrain(base, argument)
        self._check_bounds(base, tree, arguments)
        if any(getattr(c, "type", "") == "OPTIONAL" for c in tree.children):
            base = base.or_null()
        return base

    def _named_type(self, head: Word) -> Type:
        name = head.text
        if (built_in := BUILT_IN.get(name)) is not None:
            return built_in
        if (found := self._named.get(name)) is not None:
            self.used_named = True
            return found
        hint = unknown_type(name, [*BUILT_IN, "enum", "list", "map", *self._named])
        raise self._wrong(codes.UNKNOWN, *_place(head), f"there is no type `{name}`", hint)

    def _enum(self, head: Word, arguments: list[_Tree]) -> Type:
        values: list[str] = []
        for argument in arguments:
            if argument.data == "setting":
                raise self._wrong(
                    codes.ENUM, *_place(argument), "an enum takes values only", "write `enum(new, placed)`"
                )
            value = _unquote(argument.children[0].children[0])
            if value in values:
                raise self._wrong(
                    codes.ENUM, *_place(argument), f"`{value}` stands there twice", "remove one"
                )
            values.append(value)
        if not values:
            raise self._wrong(
                codes.ENUM, *_place(head), "an enum without values", "write `enum(new, placed)`"
            )
        return Type("enum", values=tuple(values))

    def _constrain(self, base: Type, argument: _Tree) -> Type:
        allowed = CONSTRAINTS.get(base.kind, ())
        if argument.data == "setting":
            word, raw = argument.children[0], argument.children[1].children[0]
        else:
            word, raw = argument.children[0].children[0], None
        key = word.text
        if key not in allowed:
            hint = did_you_mean(key, allowed) if allowed else f"remove it: `{base.kind}` has no constraints"
            if key == "pii":
                hint = f"the mark stands behind the type: `{base.kind} pii`"
            elif raw is None and allowed:
                hint = f"write `{allowed[0]}=…`; " + hint
            raise self._wrong(
                codes.CONSTRAINT, *_place(word), f"`{base.kind}` has no constraint `{key}`", hint
            )
        if key == "unique":
            if raw is not None and raw.text not in ("true", "false"):
                raise self._wrong(
                    codes.BOUND, *_place(raw), "`unique` is true or false", "write just `unique`"
                )
            return replace(base, unique=raw is None or raw.text == "true")
        if raw is None:
            raise self._wrong(codes.CONSTRAINT, *_place(word), f"`{key}` needs a value", f"write `{key}=…`")
        value: Any
        try:
            value = _constraint_value(base, key, _unquote(raw))
        except ValueError as error:
            raise self._wrong(
                codes.BOUND, *_place(raw), f"`{key}`: {error}", _bound_advice(base, key)
            ) from None
        if key == "pattern":
            return replace(base, pattern=value)
        if key == "places":
            return replace(base, places=value)
        return replace(base, min=value) if key == "min" else replace(base, max=value)

    def _check_bounds(self, base: Type, tree: _Tree, arguments: list[_Tree]) -> None:
        if arguments and base.min is not None and base.max is not None and base.min > base.max:
            at = arguments[0].start_pos, arguments[-1].end_pos
            message = f"no value is at least {show(base.min)} and at most {show(base.max)}"
            raise self._wrong(codes.BOUND, *at, message, "swap `min` and `max`")

    def _mark(self, tree: _Tree) -> None:
        word: Word = tree.children[0]
        text = word.text
        if text != "pii":
            hint = "did you mean `pii`?" if nearest(text, ["pii"]) else "quote a default: `string = 'a b'`"
            if text in ("null", "optional"):
                hint = "write `?` behind the type, as in `string?`"
            raise self._wrong(codes.SYNTAX, *_place(word), f"`{text}` does not belong here", hint)

    def _default(self, type_: Type, tree: _Tree) -> Any:
        given: Any
        if tree.data == "list_default":
            given = [_unquote(child.children[0]) for child in tree.children]
        elif tree.data == "map_default":
            given = {}
        else:
            token = tree.children[0].children[0]
            given = None if token.text == "null" else _unquote(token)
        if type_.kind == "json" and isinstance(given, str) and token.type == "WORD":
            given = _json_word(given)
        reader = Reader()
        value = reader.read(type_, given)
        if reader.issues:
            issue = reader.issues[0]
            part = type_.entry if issue.field and type_.item is not None else type_
            hint = issue.help or ("make the type optional with `?`" if given is None else how_to_write(part))
            raise self._wrong(codes.DEFAULT, *_place(tree), f"the default {issue.text}", hint)
        return value

    def _wrong(self, code: Code, start: int, end: int, message: str, hint: str) -> _Wrong:
        self._problems.error(code, self._node.at(start, end), message, help=hint)
        return _Wrong()


def _constraint_value(base: Type, key: str, text: str) -> Any:
    if key == "pattern":
        try:
            compile_pattern(text)
        except ValueError as error:
            raise ValueError(f"not a regular expression: {error}") from None
        return text
    if key == "places" or base.kind in LENGTHS:
        if not (text.isascii() and text.isdigit() and len(text) <= 15):
            raise ValueError(f"must be a whole number, not {show(text, 40)}")
        number = int(text)
        if key == "places" and number > MAX_DIGITS:
            raise ValueError(f"a decimal has at most {MAX_DIGITS} places")
        return number
    return read_value(Type(base.kind, places=base.places if key != "places" else None), text)


def _bound_advice(base: Type, key: str) -> str:
    if key == "pattern":
        return "write an RE2 expression for the whole text, such as `pattern='[A-Z]{3}'`"
    if key == "places":
        return f"write a whole number up to {MAX_DIGITS}"
    return "write a whole number, such as `1`" if base.kind in LENGTHS else how_to_write(Type(base.kind))


def _json_word(text: str) -> Any:
    words = {"true": True, "false": False}
    if text in words:
        return words[text]
    for kind in ("integer", "number"):
        try:
            return read_value(BUILT_IN[kind], text)
        except ValueError:
            continue
    return text


def _size_allowed(type_: Type, node: ScalarNode, problems: Problems) -> bool:
    """Whether a type stays within the limits. Everything that walks over types relies on it."""
    size = 0
    stack = [(type_, 1)]
    while stack:
        current, depth = stack.pop()
        size += 1
        if depth > MAX_DEPTH or size > MAX_SIZE:
            what = (
                f"nests more than {MAX_DEPTH} deep"
                if depth > MAX_DEPTH
                else f"has more than {MAX_SIZE} fields"
            )
            problems.error(
                codes.NESTING, node.span, f"this type {what}", help="take a level out, or use `json`"
            )
            return False
        if current.item is not None:
            stack.append((current.item, depth + 1))
        elif current.record is not None:
            stack.extend((field.type, depth + 1) for field in current.record.fields.values())
    return True


def _place(part: Word | _Tree) -> tuple[int, int]:
    return part.start_pos, part.end_pos


def _unquote(word: Word) -> str:
    text = word.text
    if word.type != "STRING":
        return text
    if text[0] == "'":
        return text[1:-1]
    # Only what must be escaped is: `"\d"` in a pattern stays what it is.
    return re.sub(r"\\([\"\\])", r"\1", text[1:-1])


def _tree(rule: str, children: list[Word | _Tree]) -> _Tree:
    kept = [child for child in children if isinstance(child, _Tree) or child.type in _KEPT]
    return _Tree(rule, kept, children[0].start_pos, children[-1].end_pos)


@cache
def _grammar() -> tuple[Callable[[str], list[Word]], Grammar]:
    """The grammar, ready to run: read once per process, with the first type that is not one word."""
    return words_of("types.lark"), grammar("types.lark", partial(partial, _tree))
