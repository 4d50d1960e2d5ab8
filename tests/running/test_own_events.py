"""The runtime's own events in a running application: read, projected, tested, and told of edits."""

from __future__ import annotations

from collections.abc import AsyncIterator

import orjson
import pytest
from apps import ACCOUNT, application

from tusk_runtime.clock import VirtualClock
from tusk_runtime.errors import RuleBroken
from tusk_runtime.events import Caller
from tusk_runtime.running.backends import memory_store
from tusk_runtime.running.runtime import Runtime
from tusk_runtime.testing.runner import run_case

ANN = Caller("ann", ("admin",))
BOTH = f"""
[event_types]
system_events: true
audit_events: true

[projections.refusals]
key: "id"
columns: {{ id: "string", command: "string", who: "string?", reason: "string" }}
on:
  CommandRefused:
    insert: {{ id: "{{{{ event.event_id }}}}", command: "{{{{ data.command }}}}", who: "{{{{ data.user_id }}}}", reason: "{{{{ data.reason }}}}" }}

[queries.refusals]
from: "refusals"
{ACCOUNT}
"""


@pytest.fixture
async def runtime() -> AsyncIterator[Runtime]:
    runtime = Runtime(application(BOTH), memory_store(), VirtualClock(1_000_000))
    await runtime.start()
    yield runtime
    await runtime.stop()


async def test_what_becomes_of_the_runtime_is_in_the_log(runtime: Runtime) -> None:
    await runtime.apply(application(BOTH.replace('"not enough money"', '"too little"')))
    await runtime.reject("error: no")
    events = await runtime.events()
    assert [(event.type, orjson.loads(event.data)) for event in events] == [
        ("RuntimeStarted", {"name": "test", "version": "1"}),
        ("ConfigurationReloaded", {"name": "test", "version": "1", "generation": 2}),
        ("ConfigurationRejected", {"reason": "error: no"}),
    ]
    assert {(event.aggregate_type, event.version) for event in events} == {
        ("System", 1), ("System", 2), ("System", 3),
    }  # fmt: skip
    assert (await runtime.status()).rejected == "error: no"


async def test_a_projection_takes_what_was_refused(runtime: Runtime) -> None:
    await runtime.execute("Open", {"owner": "ann", "aggregate_id": "a"}, caller=ANN)
    with pytest.raises(RuleBroken):
        await runtime.execute("Withdraw", {"amount": "5", "aggregate_id": "a"}, caller=ANN)
    head = (await runtime.events(limit=1, backwards=True))[0].position
    answer = await runtime.query("refusals", {}, caller=ANN, wait_for=head)
    assert [(row["command"], row["who"], row["reason"]) for row in answer.rows] == [
        ("Withdraw", "ann", "not enough money")
    ]
    assert len(await runtime.events(types=["CommandAccepted", "CommandRefused"])) == 2


@pytest.mark.parametrize(
    ("then", "passes"),
    [
        ("[{ Opened: { owner: 'ann' } }]", True),
        ("[{ Opened: { owner: 'ann' } }, { CommandAccepted: { command: 'Open', events: 1 } }]", True),
        ("{ includes: [{ CommandAccepted: { user_id: 'test' } }] }", True),
        ("[{ Opened: { owner: 'ann' } }, { CommandAccepted: { command: 'Close' } }]", False),
    ],
)
async def test_a_test_compares_them_where_it_names_them(then: str, passes: bool) -> None:
    text = f"{BOTH}\n[tests.opening]\nwhen: {{ Open: {{ owner: 'ann' }} }}\nthen: {then}\n"
    app = application(text)
    outcome = await run_case(app, app.tests["opening"])
    assert outcome.passed is passes, outcome.differences
