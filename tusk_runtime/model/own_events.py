"""The events that the runtime itself gives: what became of commands, and of the runtime."""

from __future__ import annotations

from collections.abc import Mapping

from tusk_runtime.types import INTEGER, STRING, Field, Record, Type

AUDIT_STREAM = "Audit"
"""What stands in the place of the type of aggregates for audit events."""
SYSTEM_STREAM = "System"
"""The same for system events."""

_TEXT = Type("string", optional=True)


def _record(name: str, /, **fields: Type) -> Record:
    return Record(name, {field: Field(field, type_) for field, type_ in fields.items()})


_WHO = {"user_id": _TEXT, "roles": Type("list", item=STRING), "tenant_id": _TEXT}
_WHAT = {"command": STRING, "aggregate_type": _TEXT, "aggregate_id": _TEXT, **_WHO}

AUDIT_EVENTS: Mapping[str, tuple[str, Record]] = {
    "CommandAccepted": (
        "A command was accepted: who sent it, to which aggregate, which version that is at now, and how many "
        "events the command gave.",
        _record("CommandAccepted", **_WHAT, version=INTEGER, events=INTEGER),
    ),
    "CommandRefused": (
        "A command was refused: who sent it, the kind of problem, and the reason.",
        _record("CommandRefused", **_WHAT, kind=STRING, reason=STRING),
    ),
    "DeadLettersMarked": (
        "Somebody had dead letters of a consumer handled again (`retry`) or dropped (`drop`): who, and at "
        "which positions of the log, or of the partition of a topic that is the `source`; the message of "
        "their errors, where they were chosen by it.",
        _record(
            "DeadLettersMarked",
            consumer=STRING,
            action=STRING,
            source=_TEXT,
            positions=Type("list", item=INTEGER),
            message=_TEXT,
            **_WHO,
        ),
    ),
}
"""With `audit_events`: name → what it says, and its fields."""

SYSTEM_EVENTS: Mapping[str, tuple[str, Record]] = {
    "RuntimeStarted": (
        "A process began to take commands, as this version of the application.",
        _record("RuntimeStarted", name=STRING, version=STRING),
    ),
    "ConfigurationReloaded": (
        "An edit of the file is live, as the generation of this number since the process started.",
        _record("ConfigurationReloaded", name=STRING, version=STRING, generation=INTEGER),
    ),
    "ConfigurationRejected": (
        "An edit of the file was refused, and why; what was live before goes on.",
        _record("ConfigurationRejected", reason=STRING),
    ),
}
"""With `system_events`: name → what it says, and its fields."""

SWITCHES: Mapping[str, str] = {
    **dict.fromkeys(AUDIT_EVENTS, "audit_events"),
    **dict.fromkeys(SYSTEM_EVENTS, "system_events"),
}
"""Name → the key of `[event_types]` that lets the runtime give it."""
