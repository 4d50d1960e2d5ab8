"""The topology of an application, the loops in it, and the course of its machines."""

from __future__ import annotations

import re
import time
from pathlib import Path

import model_golden
import pytest

from tusk_runtime.errors import InvalidConfiguration
from tusk_runtime.language.diagnostics import Problems
from tusk_runtime.language.load import load_text
from tusk_runtime.model.build import outline
from tusk_runtime.model.topology import Edge, Node, Topology, topology_of

SHOP = (Path(__file__).parents[2] / "examples" / "shop.tsk").read_text()
ENTIRE = model_golden.CASES / "whole_reactions_undeclared.case"
PLACED = Node("event", "OrderPlaced")
REACTIONS = """
[consumers.mailer]
description: "Writes to customers."
on: { OrderPlaced: { send: "CancelOrder", when: "{{ true }}" } }

[sagas.Fulfil]
starts_on: "OrderPlaced"
correlate: { OrderShipped: "{{ event.aggregate_id }}" }
steps: [{ name: "ship", send: "ShipOrder", compensate: { send: "CancelOrder" } }]

[streams.busy]
from: ["payment_events"]

[schedules.nightly]
every: "1d"
send: "DeliverOrder"

[views.by_day]
from: "orders"

[queries.days]
from: "by_day"
"""


def outlined(text: str) -> Topology:
    problems = Problems()
    return outline(load_text(text, "app.tsk", {}, problems), problems)


def test_the_topology_of_an_application_holds_what_leads_to_what() -> None:
    topology = topology_of(model_golden.built(SHOP))
    assert len(topology.nodes) == 12 + 3 + 12 + 4 + 5
    assert topology.before(PLACED) == [Node("command", "PlaceOrder")]
    assert topology.after(PLACED) == [
        Node("aggregate", "Order"),
        Node("projection", "orders"),
        Node("projection", "sold"),
    ]
    assert topology.after(Node("projection", "orders"), "read by") == [
        Node("query", "orders"),
        Node("query", "order"),
    ]
    assert Edge(Node("command", "PlaceOrder"), "decided by", Node("aggregate", "Order")) in topology.edges
    assert topology.nodes[Node("command", "PlaceOrder")] == "A customer orders one or more lines."


def test_a_consumer_is_in_the_topology_of_an_application() -> None:
    text = SHOP + REACTIONS.partition("[sagas")[0]
    topology, mailer = topology_of(model_golden.built(text)), Node("consumer", "mailer")
    assert topology.nodes[mailer] == "Writes to customers."
    assert topology.before(mailer) == [PLACED]
    assert topology.after(mailer) == [Node("command", "CancelOrder")]
    assert topology.edges == outlined(text).edges


def test_the_outline_also_holds_what_is_not_available_yet() -> None:
    topology = outlined(SHOP + REACTIONS)
    mailer, saga = Node("consumer", "mailer"), Node("saga", "Fulfil")
    assert topology.nodes[mailer] == "Writes to customers."
    assert topology.after(mailer) == [Node("command", "CancelOrder")]
    assert Edge(PLACED, "starts", saga) in topology.edges
    assert Edge(Node("event", "OrderShipped"), "wakes", saga) in topology.edges
    assert topology.after(saga) == [Node("command", "ShipOrder"), Node("command", "CancelOrder")]
    assert Node("event", "PaymentFailed") in topology.before(Node("stream", "busy"))
    assert topology.before(Node("command", "DeliverOrder")) == [Node("schedule", "nightly")]
    assert topology.before(Node("query", "days")) == [Node("view", "by_day")]
    assert topology.before(Node("view", "by_day")) == [Node("projection", "orders")]


def test_the_outline_of_a_file_with_other_errors_is_refused() -> None:
    with pytest.raises(InvalidConfiguration) as refused:
        outlined(SHOP + REACTIONS + '[views.odd]\nfrom: "ordes"\n')
    assert "TSK303" in {d.code for d in refused.value.diagnostics}


def test_a_topology_is_cut_by_kind_and_by_distance() -> None:
    topology = topology_of(model_golden.built(SHOP))
    few = topology.only({"event", "projection"})
    assert {node.kind for node in few.nodes} == {"event", "projection"}
    assert {edge.label for edge in few.edges} == {"projected by"}
    near = topology.around([PLACED], 1)
    assert set(near.nodes) == {PLACED, *topology.after(PLACED), *topology.before(PLACED)}
    assert set(topology.around([PLACED], 99).nodes) >= set(near.nodes)
    assert list(topology.around([PLACED], 0).nodes) == [PLACED]
    assert topology.named("orders") == [Node("projection", "orders"), Node("query", "orders")]


def chain(length: int) -> str:
    """A loop of so many events: each wakes a consumer that sends the next."""
    lines = ["[aggregates.A]", "on:", *(f"  E{i}: {{}}" for i in range(length)), "[commands]"]
    lines += [f'C{i}: {{ aggregate: "A", creates: "either", emit: "E{i}" }}' for i in range(length)]
    lines += ["[events]", *(f"E{i}: {{}}" for i in range(length)), "[consumers.all]", "on:"]
    lines += [f'  E{i}: {{ send: "C{(i + 1) % length}" }}' for i in range(length)]
    return "\n".join(lines) + "\n"


def machine(length: int) -> str:
    """A machine of so many states, each reached from the one before, the last command first."""
    states = ", ".join(f"s{i}" for i in range(length))
    lines = ["[aggregates.A]", 'machine: "s"', f'state: {{ s: "enum({states}) = s0" }}', "on:"]
    lines += [f'  E{i}: {{ s: "s{i}" }}' for i in range(1, length)]
    lines += ["[commands]"]
    lines += [f'C{i}: {{ aggregate: "A", from: "s{i - 1}", emit: "E{i}" }}' for i in range(length - 1, 0, -1)]
    return "\n".join([*lines, "[events]", *(f"E{i}: {{}}" for i in range(1, length))]) + "\n"


LOOP = """
[events]
Asked: {}
Answered: {}

[aggregates.Question]
on: { Asked: {} }

[aggregates.Answer]
on: { Answered: {} }

[commands.Ask]
aggregate: "Question"
creates: "either"
emit: "Asked"

[commands.Answer]
aggregate: "Answer"
creates: "either"
emit: "Answered"

[consumers.asking]
on: { Answered: { send: "Ask" } }
"""
ANSWERING = 'on: { Asked: { send: "Answer" } }'
"""What closes the loop: a consumer with this."""


def loops(text: str) -> list[str]:
    found = model_golden.diagnose(text)
    assert {d.code for d in found if d.severity == "error"} <= {"TSK900", "TSK449"}
    return [d.message for d in found if d.code == "TSK365"]


@pytest.mark.parametrize(
    "closing",
    [
        f"[consumers.c]\n{ANSWERING}",
        '[consumers.c]\non: { Asked: [{ log: "x" }, { send: "Answer", with: { aggregate_id: "{{ event.aggregate_id }}" } }] }',
        '[sagas.S]\nstarts_on: "Asked"\nsteps: { name: "a", send: "Answer" }',
        '[sagas.S]\nstarts_on: ["Asked"]\nkey: "{{ event.event_id }}"\non_completed: { send: "Answer" }',
        '[streams.s]\nfrom: "Asked"\nsend: "Answer"',
    ],
)
def test_a_loop_that_nothing_ends_is_told(closing: str) -> None:
    (message,) = loops(LOOP + closing)
    assert "`Asked`" in message
    assert "`Answered` → consumer `asking` → `Ask`" in message


@pytest.mark.parametrize(
    "closing",
    [
        '[consumers.c]\non: { Asked: { send: "Answer", when: "{{ meta.user_id != null }}" } }',
        '[consumers.c]\non: { Asked: { send: "Answer", for_each: "{{ meta.roles }}" } }',
        '[sagas.S]\nstarts_on: { event: "Asked", when: "{{ x }}" }\nsteps: [{ name: "a", send: "Answer" }]',
        '[sagas.S]\nstarts_on: "Asked"\nsteps: [{ name: "a", wait: "1d", compensate: { send: "Answer" } }]',
        '[sagas.S]\nstarts_on: "Asked"\non_failed: { send: "Answer" }',
        '[sagas.S]\nstarts_on: "Asked"\nsteps: [{ name: "a", when: "{{ x }}", parallel: [{ name: "b", send: "Answer" }] }]',
        '[sagas.S]\nstarts_on: "Answered"\nsteps: [{ name: "a", done_on: "Asked" }, { name: "b", send: "Answer" }]',
        '[streams.s]\nfrom: "Asked"\nhaving: "{{ x }}"\nsend: "Answer"',
        '[streams.s]\nfrom: "Asked"\nwhere: "{{ x }}"\nsend: "Answer"',
        '[streams.s]\nfrom: "Asked"\ngroup_by: { x: "{{ x }}" }\nsend: "Answer"',
        '[streams.s]\njoin: { by: { Asked: "{{ x }}" }, within: "1h" }\nfrom: "Asked"\nsend: "Answer"',
        '[schedules.s]\nevery: "1d"\nsend: "Answer"',
        '[consumers.c]\non: { Asked: { log: "x" } }\naccept: [{ topic: "t", send: "Answer" }]',
    ],
)
def test_a_loop_that_a_reaction_may_end_is_not_told(closing: str) -> None:
    assert loops(LOOP + closing) == []


@pytest.mark.parametrize(
    ("before", "behind"),
    [
        ('creates: "either"', 'creates: "either"\nallow: "{{ meta.user_id != null }}"'),
        ('creates: "either"', 'creates: "either"\nallow: "{{ lookup(\'x\', 1) != null }}"'),
        ('creates: "either"', 'creates: "either"\nrequire: { check: "{{ aggregate.version < 3 }}" }'),
        ('emit: "Asked"', 'emit: { event: "Asked", when: "{{ aggregate.version < 3 }}" }'),
        ('emit: "Asked"', 'emit: { event: "Asked", for_each: "{{ range(0, 1) }}" }'),
        ('creates: "either"', "creates: true\nid: \"{{ 'one' }}\""),
    ],
)
def test_a_loop_that_a_command_may_end_is_not_told(before: str, behind: str) -> None:
    assert before in LOOP
    assert loops(LOOP.replace(before, behind, 1) + f"[consumers.c]\n{ANSWERING}") == []


def test_a_command_that_only_creates_goes_on_with_new_aggregates_alone() -> None:
    closing = f"[consumers.c]\n{ANSWERING}"
    creating = LOOP.replace('creates: "either"', "creates: true")
    assert len(loops(creating + closing)) == 1
    assert (
        loops(
            creating.replace(
                'send: "Ask"', 'send: "Ask", with: { aggregate_id: "{{ meta.command_id ?? uuid() }}" }'
            )
            + closing
        )
        == []
    )
    same = creating.replace('aggregate: "Answer"', 'aggregate: "Question"').replace(
        "{ Asked: {} }", "{ Asked: {}, Answered: {} }"
    )
    assert loops(same + closing) == []


def test_a_saga_begins_once_for_an_aggregate() -> None:
    same = LOOP.replace('aggregate: "Answer"', 'aggregate: "Question"').replace(
        "{ Asked: {} }", "{ Asked: {}, Answered: {} }"
    )
    saga = '[sagas.S]\nstarts_on: "Asked"\nsteps: [{ name: "a", send: "Answer" }]\n'
    assert loops(same + saga) == []
    assert len(loops(same + saga + 'key: "{{ event.event_id }}"\n')) == 1


def test_a_loop_of_any_length_is_one_warning() -> None:
    found = [d for d in model_golden.diagnose(chain(1500)) if d.severity == "warning"]
    assert [d.code for d in found] == ["TSK365"]
    assert "→ 1492 more events → `E0` → …" in found[0].message
    assert len(found[0].related) == 2 * 8 - 1


def test_a_long_machine_is_followed_to_its_end() -> None:
    assert model_golden.diagnose(machine(400)) == []


@pytest.mark.parametrize("text", [chain, machine], ids=["loop", "machine"])
def test_the_checks_take_time_in_proportion_to_the_file(text: object) -> None:
    assert callable(text)
    times = []
    for length in (100, 400):
        rounds = []
        for _ in range(3):  # the best of them: others may be at work on the machine
            begin = time.process_time()
            model_golden.diagnose(text(length))
            rounds.append(time.process_time() - begin)
        times.append(min(rounds))
    print(f"\n{times[0] * 1000:.0f} ms, {times[1] * 1000:.0f} ms")
    assert times[1] < times[0] * 12


@pytest.mark.parametrize(
    "value", ["null", "5", '"x y"', "[1, { a: 2 }]", "[]", "{ a: { b: [1] } }", '"{{ x }}"']
)
def test_reactions_of_any_shape_are_read_without_a_traceback(value: str) -> None:
    whole = ENTIRE.read_text()
    places = list(re.finditer(r': *("[^"\n]*"|\{[^{}\n]*\}|\[[^\[\]\n]*\]|\w+)', whole))
    assert len(places) > 40
    for match in places[::3]:
        model_golden.diagnose(whole[: match.start(1)] + value + whole[match.end(1) :])


@pytest.mark.parametrize("error", ["x y z", '@import "more.tsk"', "[http]\nlisten: [1\n", "[nonsense]\na: 1"])
def test_nothing_is_said_of_the_whole_where_a_part_was_not_read(error: str) -> None:
    found = model_golden.diagnose(f"[events]\nLost: {{}}\n[http]\nbody_limit: 1MB\n{error}\n")
    assert found
    assert {d.code for d in found if d.severity == "warning"} == set()
