"""A command and a state → the events, or the reason why not. Pure: no clock, no store."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zlib import crc32

import orjson

from tusk_runtime.aggregates.fold import Applier, EventCodec, Folder, State
from tusk_runtime.errors import Forbidden, Invalid, NotFound, Refused, RuleBroken
from tusk_runtime.events import Caller, Cause, StoredEvent, event_id_of, event_id_text, id_text
from tusk_runtime.expressions import ExpressionFailed, explain
from tusk_runtime.model.application import Application, Command, Emit, EventType
from tusk_runtime.store.protocol import NewEvent
from tusk_runtime.types import Field, Record, Validator, to_json

Function = Callable[..., Any]

CANONICAL_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}").fullmatch


@dataclass(slots=True)
class Context:
    """What surrounds a decision: the command's id, the time, and who asks."""

    command_id: bytes
    timestamp: int
    now: datetime
    meta: Mapping[str, Any] | None
    correlation_id: bytes


class _Emitter:
    """One `emit` of a command, with what it needs looked up beforehand."""

    def __init__(self, emit: Emit, event: EventType, codec: EventCodec, applier: Applier) -> None:
        self.type = event.stored_type
        self.data: Function = emit.data.function
        self.defaults = emit.defaults
        self.when: Function | None = emit.when.function if emit.when is not None else None
        self.for_each: Function | None = emit.for_each.function if emit.for_each is not None else None
        self.codec = codec
        self.applier = applier

    def calls(self, arguments: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        """The arguments for each element of `for_each`."""
        items = self.for_each(*arguments) if self.for_each is not None else ()
        *values, identity = arguments
        return [(*values, item, {"index": index}, identity) for index, item in enumerate(items, 1)]


class CommandHandler:
    """Everything that one command needs, prepared once."""

    def __init__(
        self, command: Command, application: Application, folder: Folder, codecs: Mapping[str, EventCodec]
    ) -> None:
        self.command = command
        self.folder = folder
        self.application = application
        aggregate = folder.aggregate
        self._machine = aggregate.machine
        self._validator = Validator(command.fields, "forbid")
        self._id_validator = Validator(
            Record("target", {"aggregate_id": Field("aggregate_id", aggregate.id)}), "forbid"
        )
        self._uuids = aggregate.id.kind == "uuid"
        self._plain_ids = (
            aggregate.id.kind == "string" and aggregate.id.min is None and aggregate.id.max is None
        )
        self._allow = command.allow.function if command.allow is not None else None
        self._rules: list[tuple[Function, str | Function]] = [
            (rule.check.function, rule.message if isinstance(rule.message, str) else rule.message.function)
            for rule in command.require
        ]
        expressions = [command.id, command.allow, *(rule.check for rule in command.require)]
        expressions += [rule.message for rule in command.require if not isinstance(rule.message, str)]
        for emit in command.emit:
            expressions += [emit.data, emit.when, emit.for_each]
        roots = {path[0] for expression in expressions if expression is not None for path in expression.reads}
        self.needs_meta = "meta" in roots or any(
            path[0] == "meta" for fold in aggregate.on.values() for path in fold.changes.reads
        )
        self._needs_aggregate = "aggregate" in roots
        self._emits = [
            _Emitter(emit, application.events[emit.event], codecs[emit.event], folder.applier(emit.event))
            for emit in command.emit
        ]

    def validate(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """The fields as run-time values. Raises Invalid with all that is wrong."""
        return self._validator.python(fields)

    def fingerprint(self, fields: Mapping[str, Any], aggregate_id: str | None) -> int:
        """A number that tells this command, as it was sent, from another under the same id: against mistakes,
        not against malice."""
        sent = (self.command.name, aggregate_id, fields)
        return crc32(orjson.dumps(sent, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS, default=str))

    def target(
        self,
        fields: Mapping[str, Any],
        aggregate_id: str | None,
        command_id: bytes,
        now: datetime | None,
        meta: Mapping[str, Any] | None,
    ) -> str:
        """The id of the aggregate that the command is for. Raises Invalid."""
        command = self.command
        if command.id is not None:
            if aggregate_id is not None:
                raise Invalid(
                    f"`{command.name}` finds its aggregate by its fields",
                    errors=[{"field": "aggregate_id", "message": "is not taken here: remove it"}],
                )
            try:
                found = command.id.function(fields, now, meta, command_id)
            except Exception as error:
                raise refusal_of(explain(error)) from error
            return self.normal_id(found if isinstance(found, str) else to_json(found).decode().strip('"'))
        if aggregate_id is not None:
            return self.normal_id(aggregate_id)
        if command.creates == "never":
            raise Invalid(
                f"`{command.name}` does not say which `{command.aggregate}` is meant",
                errors=[{"field": "aggregate_id", "message": "is missing: it stands beside the fields"}],
            )
        return event_id_text(command_id, 0xFFFF_FFFF)

    def normal_id(self, aggregate_id: str) -> str:
        """An aggregate's id in its one canonical form. Raises Invalid."""
        if self._uuids and CANONICAL_UUID(aggregate_id):
            return aggregate_id
        if self._plain_ids:
            if not aggregate_id or len(aggregate_id) > 200 or "\0" in aggregate_id:
                message = "has 1 to 200 characters, none of them U+0000"
                raise Invalid(
                    f"an aggregate's id {message}",
                    errors=[{"field": "aggregate_id", "message": message}],
                )
            return aggregate_id
        value = self._id_validator.python({"aggregate_id": aggregate_id})["aggregate_id"]
        return value if isinstance(value, str) else str(value)

    def decide(
        self, fields: Mapping[str, Any], state: State, aggregate_id: str, context: Context
    ) -> tuple[list[NewEvent], State]:
        """The events to write, and the state after them.

        In the order of the language: existence, `allow`, `from`, `require`. Raises a Refused.
        """
        command = self.command
        if state.broken is not None:
            raise refusal_of(state.broken)
        if command.creates == "always":
            if state.version:
                raise RuleBroken(f"{command.aggregate} {aggregate_id} exists already")
        elif command.creates == "never" and not state.version:
            raise NotFound(f"there is no {command.aggregate} {aggregate_id}")
        aggregate = {"id": aggregate_id, "version": state.version} if self._needs_aggregate else None
        arguments = (fields, state.values, aggregate, context.now, context.meta, context.command_id)
        try:
            if self._allow is not None and not self._allow(*arguments):
                raise Forbidden(f"you may not run `{command.name}` here")
            if command.from_states and state.values[self._machine] not in command.from_states:  # type: ignore[index]
                allowed = " or ".join(command.from_states)
                raise RuleBroken(
                    f"{command.aggregate} {aggregate_id} is {state.values[self._machine]}; "  # type: ignore[index]
                    f"`{command.name}` is allowed from {allowed}"
                )
            for holds, message in self._rules:
                if not holds(*arguments):
                    raise RuleBroken(message if isinstance(message, str) else message(*arguments))
            return self._emit(arguments, state, aggregate_id, context)
        except Refused:
            raise
        except Exception as error:
            raise refusal_of(explain(error)) from error

    def _emit(
        self, arguments: tuple[Any, ...], state: State, aggregate_id: str, context: Context
    ) -> tuple[list[NewEvent], State]:
        found: list[NewEvent] = []
        version, after = state.version, state.values
        for emit in self._emits:
            for call in (arguments,) if emit.for_each is None else emit.calls(arguments):
                if emit.when is not None and not emit.when(*call):
                    continue
                data = emit.data(*call)
                if emit.defaults:
                    data = {**emit.defaults, **data}
                data = emit.codec.complete(data)
                new = NewEvent(emit.type, emit.codec.encode(data))
                version += 1
                if emit.applier.sees_envelope:
                    stored = self._as_stored(new, version, len(found), aggregate_id, context)
                    after = emit.applier.apply(after, data, stored)
                else:
                    after = emit.applier.apply_data(after, data)
                found.append(new)
        return found, State(version, after)

    def _as_stored(
        self, new: NewEvent, version: int, index: int, aggregate_id: str, context: Context
    ) -> StoredEvent:
        """The event as the log will give it back, so that it is folded now as it will be later."""
        meta = context.meta or {}
        own = {name: value for name, value in meta.items() if name not in ("command_id", "correlation_id")}
        return StoredEvent(
            0,
            event_id_of(context.command_id, index),
            new.type,
            self.command.aggregate,
            aggregate_id,
            version,
            context.timestamp,
            context.command_id,
            context.correlation_id,
            new.data,
            orjson.dumps(own),
        )


def meta_of(caller: Caller, cause: Cause, command_id: bytes, source: str, version: str) -> dict[str, Any]:
    """The value of `meta` in a command."""
    correlation = cause.correlation_id or command_id
    return {
        "user_id": caller.user_id,
        "roles": list(caller.roles),
        "tenant_id": caller.tenant_id,
        "command_id": id_text(command_id),
        "correlation_id": id_text(correlation),
        "causation_id": id_text(cause.causation_id) if cause.causation_id is not None else None,
        "saga_id": cause.saga_id,
        "source": source,
        "version": version,
    }


def stored_metadata(caller: Caller, cause: Cause, source: str, version: str) -> bytes:
    """What events keep of their command's context, besides its ids; what is null is left out."""
    meta: dict[str, Any] = {"source": source, "version": version}
    if caller.user_id is not None:
        meta["user_id"] = caller.user_id
    if caller.roles:
        meta["roles"] = list(caller.roles)
    if caller.tenant_id is not None:
        meta["tenant_id"] = caller.tenant_id
    if cause.causation_id is not None:
        meta["causation_id"] = id_text(cause.causation_id)
    if cause.saga_id is not None:
        meta["saga_id"] = cause.saga_id
    return orjson.dumps(meta)


def refusal_of(failure: ExpressionFailed) -> Invalid:
    """An expression that failed refuses the command with 422, and says where it stands."""
    return Invalid(
        f"an expression of the application failed: {failure.message}",
        place=str(failure.span),
        values=dict(failure.values),
    )
