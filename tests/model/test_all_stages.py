"""Independent errors of one file are told in one run, whatever the stages that find them."""

from __future__ import annotations

import model_golden

TEXT = """\
$place: "data"

[runtime]
name: "app"
vershun: "1.0"                                   # TSK201 a key of settings

[http]
listen: "127.0.0.1:99999"                        # TSK206 a value
body_limit: 1MB 2MB                              # TSK011 syntax

[store_config]
sqlite: { path: "${plase}/app.db" }              # TSK031 a variable

[event_store]
backend: @evn("BACKEND")                         # TSK114 an operator

[projctions]                                     # TSK200 a section

[types]
Money: "decimal(places=2"                        # TSK250 the text of a type

[events]
Opened: { fields: { owner: "strng" } }           # TSK251 a type
Paid: { fields: { amount: "decimal", at: "date" } }

[aggregates.Account]
machine: "status"
state: { status: "enum(new, open) = new", total: "decimal = 0" }
on:
  Opened: { status: "opne" }                     # TSK412 a value of an enum
  Paid: { total: "{{ state.total + data.amont }}" }   # TSK404 a field in an expression

[commands.Pay]
aggregate: "Acount"                              # TSK301 a name
fields: { amount: "decimal", at: "date" }
emit: "Paid"

[commands.Open]
aggregate: "Account"
from: "nwe"                                      # TSK310 a state
require: { check: "{{ 'a' + 1 }}", message: "no" }   # TSK407 types in an expression
emit: [{ event: "Opened", data: { owner: "{{ meta.user_id ?? 'x' }" } }]   # TSK401 braces

[tests.opens]
when: { Opne: {} }                               # TSK302 a name in a test
then: "Opened"
"""


def expected() -> list[tuple[int, str]]:
    """The line and the code of each error, as the comments say."""
    found = []
    for number, line in enumerate(TEXT.splitlines(), 1):
        if "# TSK" in line:
            found.append((number, line.partition("# TSK")[2].split()[0]))
    return [(number, f"TSK{code}") for number, code in found]


def test_each_is_told_once_at_its_place() -> None:
    errors = [d for d in model_golden.diagnose(TEXT) if d.severity == "error"]
    assert [(d.span.line, d.code) for d in errors] == expected()


def test_they_come_from_every_stage() -> None:
    """Syntax, loading, sections and values, rules between declarations, expressions: at least eight."""
    codes = [code for _, code in expected()]
    assert len(set(codes)) >= 8
    assert {code[:4] for code in codes} >= {"TSK0", "TSK1", "TSK2", "TSK3", "TSK4"}


def test_each_alone_is_the_only_one() -> None:
    """They are independent: with the others put right, each is still told, and nothing else."""
    lines = TEXT.splitlines()
    right = {
        5: 'version: "1.0"', 8: 'listen: "127.0.0.1:9999"', 9: "body_limit: 1MB", 12: 'sqlite: { path: "${place}/app.db" }',
        15: 'backend: "sqlite"', 17: "[projections]", 20: 'Money: "decimal(places=2)"',
        23: 'Opened: { fields: { owner: "string" } }', 30: '  Opened: { status: "open" }',
        31: '  Paid: { total: "{{ state.total + data.amount }}" }', 34: 'aggregate: "Account"', 40: 'from: "new"',
        41: 'require: { check: "{{ 1 + 1 == 2 }}", message: "no" }',
        42: 'emit: [{ event: "Opened", data: { owner: "{{ meta.user_id ?? \'x\' }}" } }]', 45: "when: { Open: {} }",
    }  # fmt: skip
    assert sorted(right) == [number for number, _ in expected()]
    good = [right.get(number, line) for number, line in enumerate(lines, 1)]
    assert [d.code for d in model_golden.diagnose("\n".join(good)) if d.severity == "error"] == []
    for number, code in expected():
        one = [*good[: number - 1], lines[number - 1], *good[number:]]
        errors = [
            (d.span.line, d.code) for d in model_golden.diagnose("\n".join(one)) if d.severity == "error"
        ]
        assert errors == [(number, code)], errors
