"""An application that uses all of its store moves to another database, and goes on there."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from stored import ANN, KINDS, Stored, application_on

from tusk_runtime.errors import RuleBroken
from tusk_runtime.running.load import load_or_raise
from tusk_runtime.running.runtime import Runtime

FIRST = """
[event_types]
audit_events: true
system_events: true

[events]
MemberJoined: { fields: { mail: "string" } }

[aggregates.Member]
id: "string"
state: { email: "string" }
on: { MemberJoined: { email: "{{ data.mail }}" } }
unique: "email"

[commands.Join]
aggregate: "Member"
fields: { mail: "string" }
creates: true
emit: "MemberJoined"
"""

SECOND = """
[event_types]
audit_events: true
system_events: true

[events]
Joined: {
  was: "MemberJoined"
  version: 2
  upcast: { 1: { rename: { mail: "email" } } }
  fields: { email: "string" }
}
Moved: { fields: { email: "string" } }

[aggregates.Member]
id: "string"
state: { email: "string", moves: "integer = 0" }
on:
  Joined: { email: "{{ data.email }}" }
  Moved: { email: "{{ data.email }}", moves: "{{ state.moves + 1 }}" }
unique: "email"
snapshot_every: 5

[commands.Join]
aggregate: "Member"
fields: { email: "string" }
creates: true
emit: "Joined"

[commands.Move]
aggregate: "Member"
fields: { email: "string" }
emit: "Moved"

[projections.members]
key: "id"
columns: { id: "string", email: "string" }
on:
  Joined: { insert: { id: "{{ event.aggregate_id }}", email: "{{ data.email }}" } }
  Moved: { update: { email: "{{ data.email }}" } }

[queries.members]
from: "members"
"""


async def filled(kind: str, folder: Path) -> Stored:
    """Members who joined by the first version and moved by the second one."""
    application = await application_on(kind, folder, FIRST)
    await application.run(
        ("Join", {"aggregate_id": "a", "mail": "a@example.com"}),
        ("Join", {"aggregate_id": "b", "mail": "a@example.com"}),  # refused: not unique
        ("Join", {"aggregate_id": "b", "mail": "b@example.com"}),
    )
    text = application.file.read_text().replace(FIRST, SECOND)
    application.file.write_text(text)
    runtime = Runtime(load_or_raise(application.file, application.environment), application.opened())
    await runtime.start()
    await runtime.execute("Join", {"aggregate_id": "c", "email": "c@example.com"}, caller=ANN)
    for number in range(12):
        await runtime.execute("Move", {"aggregate_id": "a", "email": f"a{number}@example.com"}, caller=ANN)
    await runtime.stop()
    return application


async def told(application: Stored, *arguments: Any) -> str:
    done = await asyncio.to_thread(application.invoke, *arguments)
    assert done.exit_code == 0, done.output
    return str(done.stdout)


@pytest.mark.parametrize("kind", KINDS)
async def test_versions_are_listed_under_one_name(kind: str, tmp_path: Path) -> None:
    application = await filled(kind, tmp_path / "from")
    lines = (
        await told(application, "events", "ls", "FILE", "--type", "Joined", "--format", "json")
    ).splitlines()
    events = [json.loads(line) for line in lines]
    assert [(event["event_type"], event["event_version"]) for event in events] == [
        ("Joined", 1),
        ("Joined", 1),
        ("Joined", 2),
    ]
    refused = json.loads(
        await told(application, "events", "ls", "FILE", "--type", "CommandRefused", "--format", "json")
    )
    assert refused["data"]["reason"] == "another Member has the same `email`"
    assert "Joined" in await told(application, "events", "ls", "FILE", "--aggregate", "Member", "b")
    shown = await told(application, "state", "FILE", "Member", "a", "--format", "json")
    assert json.loads(shown)["state"] == {"email": "a11@example.com", "moves": 12}


@pytest.mark.parametrize(("source", "target"), [("sqlite", "postgresql-18"), ("postgresql-15", "sqlite")])
async def test_everything_goes_on_in_the_other_database(source: str, target: str, tmp_path: Path) -> None:
    before = await filled(source, tmp_path / "from")
    lines = await told(before, "events", "export", "FILE")

    after = await application_on(target, tmp_path / "to", SECOND)
    # It was started once, so that it keeps a promise about nothing.
    runtime = Runtime(load_or_raise(after.file, after.environment), after.opened())
    await runtime.start()
    await runtime.stop()
    export = tmp_path / "export.jsonl"
    export.write_text(lines)
    done = await asyncio.to_thread(after.invoke, "events", "import", "FILE", str(export))
    assert done.exit_code == 1, "its own start is in the log"

    after = await application_on(target, tmp_path / "empty", SECOND.replace("system_events: true", ""))
    runtime = Runtime(load_or_raise(after.file, after.environment), after.opened())
    await runtime.start()
    await runtime.stop()
    await told(after, "events", "import", "FILE", str(export))
    assert await told(after, "events", "export", "FILE") == lines
    assert "good" in await told(after, "store", "verify", "FILE")

    runtime = Runtime(load_or_raise(after.file, after.environment), after.opened())
    await runtime.start()
    with pytest.raises(RuleBroken, match="`email`"):
        await runtime.execute("Join", {"aggregate_id": "d", "email": "b@example.com"}, caller=ANN)
    await runtime.execute("Join", {"aggregate_id": "d", "email": "a@example.com"}, caller=ANN)
    answer = await runtime.query(
        "members", {}, caller=ANN, wait_for=(await runtime.events(limit=1, backwards=True))[0].position
    )
    assert {row["id"]: row["email"] for row in answer.rows} == {
        "a": "a11@example.com",
        "b": "b@example.com",
        "c": "c@example.com",
        "d": "a@example.com",
    }
    await runtime.stop()
