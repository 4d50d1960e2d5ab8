"""`upcast` of events: how the data of an older version becomes that of the next one."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from tusk_runtime.expressions import Expression, ExpressionFailed, Place, Scope, compile_value
from tusk_runtime.language.diagnostics import Problems
from tusk_runtime.language.document import Entry, ListNode, MapNode, Node, ScalarNode
from tusk_runtime.language.source import Span
from tusk_runtime.model.application import EventType, Upcast
from tusk_runtime.model.codes import BAD_VALUE, UPCAST_FIELD, UPCAST_PERSONAL, UPCAST_TWICE, UPCAST_VERSION
from tusk_runtime.model.context import Building, suggest
from tusk_runtime.model.declarations.events import STEP_KEYS
from tusk_runtime.model.declarations.projections import id_of
from tusk_runtime.model.definitions import definition_hash
from tusk_runtime.model.named_types import is_open
from tusk_runtime.model.reader import Reader, items_of, wrong_type
from tusk_runtime.model.scopes import upcast_scope
from tusk_runtime.model.upcasting import as_json
from tusk_runtime.types import JSON, Type, holds_pii, personal

NUMBER = re.compile(r"[1-9][0-9]{0,3}\Z")
WITHIN = Place(open=True)
"""What a step computes stays within its event; where it may go there, `_check_personal` says."""


def read(b: Building, readers: Mapping[str, Reader]) -> None:
    """Read the upcasts of all events into `b.events`; their aggregates are read already."""
    for name, reader in readers.items():
        event = b.events[name]
        steps = _Chain(b, event, reader).read() if "upcast" in reader else {}
        if event.version > 1 or event.was is not None or steps:
            node = reader.node_of("upcast")
            plain = node.plain() if node is not None else None
            reading = definition_hash(event.version, event.was, plain)
            b.events[name] = event._replace(upcast=steps, reading=reading)


class _Draft(NamedTuple):
    """A step whose values are not compiled yet; new names and places by old names."""

    what: str
    set: Mapping[str, Entry]
    rename: Mapping[str, tuple[str, Span]]
    remove: Mapping[str, Span]
    add: Mapping[str, Entry]

    def new_names(self) -> frozenset[str]:
        """The names that fields get."""
        return frozenset(name for name, _ in self.rename.values())

    def after(self, name: str) -> str | None:
        """The name of a field after the step; None if it is gone, or another one has its name."""
        if name in self.rename:
            name = self.rename[name][0]
        elif name in self.remove or name in self.new_names():
            return None
        return None if name in self.set else name


class _Chain:
    """The steps of one event that are being read."""

    def __init__(self, b: Building, event: EventType, reader: Reader) -> None:
        self.b = b
        self.problems = b.problems
        self.event = event
        self.reader = reader
        self.fields = event.fields.fields
        self.drafts: dict[int, _Draft] = {}
        self.scope = upcast_scope(self._data_type(), id_of(b, event.name))

    def _data_type(self) -> Type:
        # Nobody says which older fields are personal: where one may be, none is shown when a step fails.
        return personal(JSON) if holds_pii(Type("record", record=self.event.fields)) else JSON

    def read(self) -> dict[int, Upcast]:
        """The steps by the version that each begins at, those that are right."""
        for entry in self.reader.map("upcast", "a map of steps `{ 1: { … } }`") or ():
            number = self._number(entry)
            if number is None:
                continue
            node = entry.node
            if isinstance(node, ScalarNode) and node.value is None:
                node = MapNode({}, node.span)
            what = f"step {number} of `upcast` of {self.reader.what}"
            if isinstance(node, MapNode):
                self.drafts[number] = self._draft(node, what, entry.key_span)
            else:
                wrong_type(self.problems, node, what, "a map such as `{ add: { … }, rename: { … } }`")
        found: dict[int, Upcast] = {}
        for number, draft in sorted(self.drafts.items()):
            self._check(number, draft)
            found[number] = Upcast(
                self._compiled(number, draft),
                {old: new for old, (new, _) in draft.rename.items()},
                frozenset(draft.remove),
                self._values(number, draft),
            )
        self._check_personal(found)
        return found

    # ---- the shape of a step ----------------------------------------------------------------------

    def _number(self, entry: Entry) -> int | None:
        """The version that a step begins at, if there is one behind it."""
        last = self.event.version - 1
        number = int(entry.key) if NUMBER.match(entry.key) else 0
        if 0 < number <= last:
            return number
        what = self.reader.what
        if "version" not in self.reader:
            message = f"{what} has an `upcast` and no `version`, so it is of version 1, and nothing is older"
            advice = f"declare the version that its fields have now: `version: {number + 1 if number else 2}`"
        elif ("versions", self.event.name) in self.b.broken:
            return None  # told already: the version itself is wrong
        else:
            message = f"`{entry.key}` is no step of `upcast` of {what}, which is of version {last + 1}"
            advice = (
                f"write `version: {number + 1}`, or number the steps from 1 to {last}"
                if number
                else f"write the version that the step begins at, from 1 to {last}"
            )
            if not last:
                advice = "remove it: of version 1 nothing is older"
        self.problems.error(UPCAST_VERSION, entry.key_span, message, help=advice)
        return None

    def _draft(self, node: MapNode, what: str, head: Span) -> _Draft:
        hint = "a field stands in one of them, such as `add: { field: value }`"
        step = Reader(node, STEP_KEYS, what, self.problems, head, hint)
        rename = {}
        for entry in step.map("rename", "a map of old names and new names") or ():
            name = entry.node.value if isinstance(entry.node, ScalarNode) else None
            if isinstance(name, str) and name:
                rename[entry.key] = name, entry.node.span
            else:
                wrong_type(
                    self.problems, entry.node, f"the new name of `{entry.key}` in {what}", "a name in quotes"
                )
        remove = {str(item.value): item.span for item in step.texts("remove")}
        return _Draft(what, self._entries(step, "set"), rename, remove, self._entries(step, "add"))

    def _entries(self, step: Reader, key: str) -> dict[str, Entry]:
        node = step.map(key, "a map of fields and their values")
        return dict(node.entries) if node is not None else {}

    # ---- what a step leads to ---------------------------------------------------------------------

    def _lands(self, number: int, name: str) -> str | None:
        """The name in the declared version of a field that a step gives; None if a later one takes it."""
        for later in range(number + 1, self.event.version):
            draft = self.drafts.get(later)
            following = draft.after(name) if draft is not None else None
            if following is None:
                return None
            name = following
        return name

    def _type_of(self, number: int, name: str) -> Type | None:
        """The type that a field must have in the end, where the step decides that."""
        field = self.fields.get(self._lands(number, name) or "")
        return field.type if field is not None else None

    def _check(self, number: int, draft: _Draft) -> None:
        for old, (_, span) in draft.rename.items():
            if old in draft.remove:
                self._twice(draft.remove[old], f"`{old}` is both renamed and removed in {draft.what}", span)
        taken: dict[str, Span] = {}
        for new, span in draft.rename.values():
            if new in taken:
                self._twice(span, f"two fields become `{new}` in {draft.what}", taken[new])
            elif new in draft.remove and new not in draft.rename:
                self._twice(draft.remove[new], f"`{new}` is removed and a new name in {draft.what}", span)
            taken.setdefault(new, span)
        if number == self.event.version - 1 and not is_open(self.event.fields):
            places = [(name, entry.key_span) for name, entry in (*draft.add.items(), *draft.set.items())]
            for name, span in (*places, *draft.rename.values()):
                if name not in self.fields:
                    self.problems.error(
                        UPCAST_FIELD,
                        span,
                        f"{draft.what} gives `{name}`, and the event has no such field",
                        help=suggest(name, self.fields, self.reader.what),
                    )

    def _twice(self, span: Span, message: str, other: Span) -> None:
        self.problems.error(
            UPCAST_TWICE, span, message, help="leave one of them out", related=[(other, "and here")]
        )

    # ---- values -----------------------------------------------------------------------------------

    def _compiled(self, number: int, draft: _Draft) -> dict[str, Expression]:
        found = {}
        for name, entry in draft.set.items():
            expected = self._type_of(number, name)
            value = compile_value(entry.node, self.scope, self.problems, expected, WITHIN)
            if value is not None:
                found[name] = value
        return found

    def _values(self, number: int, draft: _Draft) -> dict[str, Any]:
        """The values of `add` as JSON."""
        found = {}
        for name, entry in draft.add.items():
            computed = next(_computed(entry.node), None)
            if computed is not None:
                wrong_type(
                    self.problems,
                    computed,
                    f"`{name}` in `add` of {draft.what}",
                    "a value",
                    f"what is computed stands in `set`: `set: {{ {name}: … }}`",
                )
                continue
            value = compile_value(entry.node, Scope({}), self.problems, self._type_of(number, name))
            if value is None:
                continue
            try:
                found[name] = as_json(value())
            except (ExpressionFailed, TypeError) as error:
                advice = "write a value that JSON can hold"
                self.problems.error(BAD_VALUE, entry.node.span, f"`{name}`: {error}", help=advice)
        return found

    # ---- personal data ----------------------------------------------------------------------------

    def _check_personal(self, steps: Mapping[int, Upcast]) -> None:
        """What is known to be personal goes only into fields that are marked, also by way of older ones."""
        marked = {name for name, field in self.fields.items() if holds_pii(field.type)}
        known = self._becoming(marked)
        for number, step in sorted(steps.items()):
            draft, here = self.drafts[number], known.setdefault(number, set())
            following = known.setdefault(number + 1, set())
            following.update(after for name in here if (after := draft.after(name)) is not None)
            for name, value in step.set.items():
                node = draft.set[name].node
                source = self._personal_source(value, node, here)
                if source is None:
                    continue
                landed = self._lands(number, name)
                if landed not in self.fields:
                    following.add(name)
                elif landed not in marked:
                    self.problems.error(
                        UPCAST_PERSONAL,
                        node.span,
                        f"`{source}` is personal data, and the field `{landed}` of {self.reader.what} is not "
                        "marked `pii`",
                        help=f"mark `{landed}`, too, or compute it from other fields",
                    )

    def _becoming(self, marked: set[str]) -> dict[int, set[str]]:
        """By version the fields that become one of those that the declared version marks."""
        known = {self.event.version: marked}
        for number in range(self.event.version - 1, 0, -1):
            draft, following = self.drafts.get(number), known[number + 1]
            if draft is None or not following:
                break
            known[number] = {name for name in {*draft.rename, *following} if draft.after(name) in following}
        return known

    def _personal_source(self, value: Expression, node: Node, known: set[str]) -> str | None:
        """What a value takes of the fields that are known to be personal, as it is written."""
        read = [path for path in sorted(value.reads) if path[0] == "data" and known]
        found = [".".join(path[:2]) for path in read if len(path) == 1 or path[1] in known]
        if not found:
            return None
        # Without the type that it goes to, the value tells whether it still is personal itself.
        probe = compile_value(node, self.scope, Problems())
        return found[0] if probe is None or probe.personal else None


def _computed(node: Node) -> Iterator[ScalarNode]:
    """The expressions in a value."""
    if isinstance(node, ScalarNode):
        if isinstance(node.value, str) and "{{" in node.value:
            yield node
    elif isinstance(node, ListNode):
        for item in items_of(node):
            yield from _computed(item)
    else:
        for entry in node:
            yield from _computed(entry.node)
