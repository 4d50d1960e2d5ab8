"""What a declared test says of what leaves the application, and of what comes back."""

from __future__ import annotations

import pytest
from apps import application

from tusk_runtime.testing import Outcome, run_case

APPLICATION = """
[runtime]
allow_python: true

[email]
smtp: "smtp.example.com:587"
from: "shop@example.com"

[events]
Paid: { fields: { amount: "decimal(places=2)", mail: "email" } }
Shipped: {}

[aggregates.Order]
on: { Paid: {}, Shipped: {} }

[commands]
Pay: { aggregate: "Order", creates: "either", fields: { amount: "decimal(places=2)", mail: "email = 'ann@example.org'" }, emit: "Paid" }
Ship: { aggregate: "Order", emit: "Shipped" }

[consumers.paying]
on:
  Paid:
    - http:
        url: "https://pay.example.com/orders/{{ event.aggregate_id }}?key=@env.secure('KEY', 'hiddenkey')"
        json: { amount: "{{ data.amount }}", order: "{{ event.aggregate_id }}", tags: ["a", 1] }
        headers: { Authorization: "Bearer @env.secure('TOKEN', 'hidden token')" }
    - { email: { to: ["{{ data.mail }}", "office@example.com"], subject: "Paid {{ data.amount }}", text: "Thanks", html: "<p>{{ data.amount }}</p>" } }
    - { call: "shop:paid", with: { amount: "{{ data.amount }}", at: "{{ now }}" } }
  Shipped: { http: { url: "https://ship.example.com", form: { order: "{{ event.aggregate_id }}" } } }
"""
PAID = 'when: { Pay: { aggregate_id: "ann", amount: 5 } }\n'
FIRST = '{ http: "https://pay.example.com/orders/ann" }'
ALL = f'{FIRST}, {{ email: ["ann@example.org", "office@example.com"] }}, {{ call: "shop:paid" }}'


async def run(test: str) -> Outcome:
    found = application(f"{APPLICATION}\n[tests.t]\n{test}\n")
    return await run_case(found, found.tests["t"])


async def differences(test: str) -> list[tuple[str, object, object]]:
    return [(each.path, each.expected, each.actual) for each in (await run(test)).differences]


@pytest.mark.parametrize(
    "line",
    [
        ALL,
        ALL.replace(
            FIRST,
            '{ http: "https://pay.example.com/orders/ann?key=hiddenkey", method: "POST", '
            'json: { amount: "5.00", order: "ann", tags: ["a", 1] }, headers: { CONTENT-type: "application/json" } }',
        ),
        ALL.replace('com"] }', 'com"], subject: "Paid 5.00", text: "Thanks", html: "<p>5.00</p>" }'),
        ALL.replace('paid" }', 'paid", with: { amount: "5.00", at: "2026-01-01T00:00:00Z" } }'),
    ],
)
async def test_what_left_is_as_expected(line: str) -> None:
    """Only what is given is compared; a text stands for its uuid, also within an address."""
    assert await differences(f"{PAID}then: {{ calls: [{line}] }}") == []


@pytest.mark.parametrize(
    ("right", "wrong", "path"),
    [
        ("orders/ann", "orders/bob", "calls[0]"),
        ("orders/ann", "orders", "calls[0]"),
        ("orders/ann", "orders/ann/x", "calls[0]"),
        ("orders/ann", "orders/ann?key=x", "calls[0]"),
        ('ann" }', 'ann", method: "PUT" }', "calls[0].method"),
        ('ann" }', 'ann", json: { amount: "5.01" } }', "calls[0].json.amount"),
        ('ann" }', 'ann", json: { order: "bob" } }', "calls[0].json.order"),
        ('ann" }', 'ann", json: { tags: ["a"] } }', "calls[0].json.tags[1]"),
        ('ann" }', 'ann", headers: { X-Other: "x" } }', "calls[0].headers.x-other"),
        (', "office@example.com"]', "]", "calls[1]"),
        ('com"] }', 'com"], subject: "Paid" }', "calls[1].subject"),
        ('com"] }', 'com"], text: "x" }', "calls[1].text"),
        ('com"] }', 'com"], html: "<p>5</p>" }', "calls[1].html"),
        ("shop:paid", "shop:pay", "calls[2]"),
        ('paid" }', 'paid", with: { at: "x" } }', "calls[2].with.at"),
        (', { call: "shop:paid" }', "", "calls[2]"),
        ('{ call: "shop:paid" }', '{ call: "shop:paid" }, { call: "shop:paid" }', "calls[3]"),
    ],
)
async def test_what_differs_is_told_at_its_place(right: str, wrong: str, path: str) -> None:
    assert right in ALL
    found = await differences(f"{PAID}then: {{ calls: [{ALL.replace(right, wrong)}] }}")
    assert [each[0] for each in found] == [path]


async def test_the_order_counts() -> None:
    lines = ALL.split(", {")
    swapped = f"{{{lines[1]}, {lines[0]}, {{{lines[2]}"
    assert [each[0] for each in await differences(f"{PAID}then: {{ calls: [{swapped}] }}")] == [
        "calls[0]",
        "calls[1]",
    ]


@pytest.mark.parametrize(
    ("line", "path"),
    [
        ('publish: "shipments"', ""),
        (
            'publish: "shipments", key: "ann", value: { order: "ann", at: null }, headers: { KIND: "Shipped" }',
            "",
        ),
        ('publish: "shipment"', "calls[0]"),
        ('publish: "shipments", key: "bob"', "calls[0].key"),
        ('publish: "shipments", value: { order: "bob" }', "calls[0].value.order"),
        ('publish: "shipments", headers: { kind: "x" }', "calls[0].headers.kind"),
    ],
)
async def test_messages_to_topics_are_compared(line: str, path: str) -> None:
    text = APPLICATION[: APPLICATION.index("  Shipped: { http")] + (
        '  Shipped: { publish: { topic: "shipments", key: "{{ event.aggregate_id }}", headers: '
        '{ kind: "{{ event.event_type }}" }, value: { order: "{{ event.aggregate_id }}", at: null } } }\n'
        '[event_store]\nstreaming: "kafka"\n[store_config.kafka]\nbrokers: "127.0.0.1:1"\n[tests.t]\n'
        'given: { Paid: { aggregate_id: "ann", amount: 5, mail: "a@b.de" } }\n'
        f'when: {{ Ship: {{ aggregate_id: "ann" }} }}\nthen: {{ calls: {{ {line} }} }}\n'
    )
    found = application(text)
    outcome = await run_case(found, found.tests["t"])
    assert [each.path for each in outcome.differences] == ([path] if path else [])


async def test_nothing_secret_is_told() -> None:
    """Neither what the file hides in an address, nor in a header that a test asks for."""
    found = str(await differences(f"{PAID}then: {{ calls: [] }}"))
    assert "http POST https://" in found
    assert "hidden" not in found
    line = '{ http: "https://pay.example.com/orders/ann", headers: { authorization: "Bearer x" } }'
    ((path, expected, actual),) = await differences(f"{PAID}then: {{ calls: [{ALL.replace(FIRST, line)}] }}")
    assert (path, expected) == ("calls[0].headers.authorization", "Bearer x")
    assert "***" in str(actual)
    assert "hidden" not in str(actual)


async def test_calls_count_from_given_on() -> None:
    """What was done upon what had happened before is no part of the test; a form is compared as one."""
    ship = '{ http: "https://ship.example.com", form: { order: "ann" } }'
    test = (
        'given: { Paid: { aggregate_id: "ann", amount: 5, mail: "a@b.de" } }\n'
        'when: { Ship: { aggregate_id: "ann" } }\n'
    )
    assert await differences(f"{test}then: {{ calls: {ship} }}") == []


@pytest.mark.parametrize(("status", "calls"), [(503, 4), (429, 4), (404, 1), (302, 1)])
async def test_a_call_fails_as_it_would(status: int, calls: int) -> None:
    """What may work later is made again as time passes, until it works; what is final is not."""
    answers = "{ status: STATUS }, { status: STATUS }, { status: STATUS }, { json: { ok: true } }"
    answers = answers.replace("STATUS", str(status))
    when = f'[{{ Pay: {{ aggregate_id: "ann", amount: 5 }} }}{", { after: 1m }" * 4}]'
    expected = ", ".join([FIRST] * calls) + (ALL.removeprefix(FIRST) if calls > 1 else "")
    assert (
        await differences(
            f'answers: {{ "https://pay.example.com/orders/ann": [{answers}] }}\nwhen: {when}\n'
            f"then: {{ calls: [{expected}] }}"
        )
        == []
    )


async def test_the_last_answer_is_given_again_and_again() -> None:
    """All five attempts get it; then the event is parked."""
    when = f'[{{ Pay: {{ aggregate_id: "ann", amount: 5 }} }}{", { after: 2m }" * 6}]'
    assert (
        await differences(
            f'answers: {{ "https://pay.example.com/orders/ann": {{ status: 500 }} }}\nwhen: {when}\n'
            f"then: {{ calls: [{', '.join([FIRST] * 5)}] }}"
        )
        == []
    )
