"""Messages in declared tests: through the door of HTTP, and counted where they are not taken."""

from __future__ import annotations

import pytest
from apps import application

from tusk_runtime.testing.runner import Outcome, run_case

BANK = """
[events]
Paid: { fields: { amount: "decimal(places=2)", by: "string?" } }

[aggregates.Invoice]
state: { paid: "decimal = 0" }
on: { Paid: { paid: "{{ state.paid + data.amount }}" } }

[commands.Pay]
aggregate: "Invoice"
creates: "either"
fields: { amount: "decimal(places=2)", by: "string?" }
require: [{ check: "{{ state.paid + command.amount <= 100 }}", message: "that is too much" }]
emit: "Paid"

[consumers.Bank]
accept:
  - topic: "bookings"
    when: "{{ message.kind == 'in' }}"
    message: { invoice: "uuid", amount: "decimal" }
    send: "Pay"
    with: { aggregate_id: "{{ message.invoice }}", by: "{{ key ?? headers['x-by'] ?? now | format('%d.%m.') }}" }
  - { topic: "bookings", when: "{{ message.kind == 'out' }}", ignore: true }

[consumers.Careful]
on: { Paid: { log: "{{ string(1 / (data.amount - 13)) }}" } }
"""
IN = '{ kind: "in", invoice: "i1", amount: "5.00" }'


async def run(text: str) -> Outcome:
    """What becomes of a test."""
    found = application(f"{BANK}\n[tests.t]\n{text}")
    return await run_case(found, found.tests["t"])


async def told(text: str) -> list[tuple[object, object, object]]:
    """The differences of a test."""
    return [(each.path, each.expected, each.actual) for each in (await run(text)).differences]


GOOD = [
    # A text is the same uuid everywhere.
    f'when: {{ message: {{ topic: "bookings", value: {IN} }} }}\n'
    'then: { events: [{ Paid: { aggregate_id: "i1", amount: 5 } }], state: [{ Invoice: { aggregate_id: "i1", paid: 5 } }] }',
    # Without an id each is another; with the same it is one; the key, headers and the time are seen.
    f'when: [{{ message: {{ topic: "bookings", value: {IN} }} }}, {{ after: "1d" }}, '
    f'{{ message: {{ topic: "bookings", value: {IN} }} }}, '
    f'{{ message: {{ topic: "bookings", value: {IN}, key: "k", headers: {{ message-id: "m" }} }} }}, '
    f'{{ message: {{ topic: "bookings", value: {IN}, key: "k", headers: {{ message-id: "m" }} }} }}, '
    f'{{ message: {{ topic: "bookings", value: {IN}, headers: {{ x-by: "h" }} }} }}]\n'
    'then: [{ Paid: { by: "01.01." } }, { Paid: { by: "02.01." } }, { Paid: { by: "k" } }, { Paid: { by: "h" } }]',
    'when: { message: { topic: "bookings", value: { kind: "out" } } }\nthen: { events: [], dead_letters: 0 }',
    # What no rule fits, what lacks a field, what says nothing, and what the command refuses.
    'when: [{ message: { topic: "bookings", value: { kind: "x" } } }, { message: { topic: "bookings" } }, '
    '{ message: { topic: "bookings", value: { kind: "in" } } }, '
    '{ message: { topic: "bookings", value: { kind: "in", invoice: "i1", amount: 101 } } }]\n'
    "then: { events: [], dead_letters: 4 }",
    'when: { message: { topic: "bookings", value: { kind: "in", invoice: "i1", amount: 101 } } }\n'
    'then: { rejected: "too much" }',
    # An event that cannot be handled counts, too; what waits behind it does not.
    'when: [{ Pay: { amount: 13 } }, { Pay: { amount: 1 } }, { message: { topic: "bookings", value: 1 } }]\n'
    "then: { dead_letters: 2 }",
]  # fmt: skip


@pytest.mark.parametrize("text", GOOD)
async def test_what_is_so(text: str) -> None:
    """Passes."""
    assert await told(text) == []


async def test_what_is_not_taken_must_be_said() -> None:
    """Else the test fails, with the reason."""
    ((path, expected, actual),) = await told(
        'when: { message: { topic: "bookings", value: { kind: "x" } } }\nthen: { events: [] }'
    )
    assert (path, expected) == ("message of bookings", "taken")
    assert "`when` of no rule for topic `bookings` fits the message" in str(actual)


async def test_the_wrong_number_is_told() -> None:
    """Of dead letters, in both directions; and a message that was taken, but should not have been."""
    assert await told(
        f'when: {{ message: {{ topic: "bookings", value: {IN} }} }}\nthen: {{ dead_letters: 1, rejected: true }}'
    ) == [("rejected", True, "accepted"), ("dead_letters", 1, 0)]
    assert await told(
        'when: { message: { topic: "bookings", value: { kind: "x" } } }\nthen: { dead_letters: 0 }'
    ) == [("dead_letters", 0, 1)]
