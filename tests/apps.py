"""Applications for tests, from the text of a file."""

from __future__ import annotations

from tusk_runtime.language.diagnostics import Problems
from tusk_runtime.language.load import load_text
from tusk_runtime.model.application import Application
from tusk_runtime.model.build import build

ACCOUNT = """
[events]
Opened: { fields: { owner: "string" } }
Deposited: { fields: { amount: "decimal(places=2)", note: "string?" } }
Withdrawn: { fields: { amount: "decimal(places=2)" } }
Closed: {}

[aggregates.Account]
id: "string"
machine: "status"
state: { status: "enum(new, open, closed) = new", balance: "decimal = 0", owner: "string?" }
on:
  Opened: { status: "open", owner: "{{ data.owner }}" }
  Deposited: { balance: "{{ state.balance + data.amount }}" }
  Withdrawn: { balance: "{{ state.balance - data.amount }}" }
  Closed: { status: "closed" }

[commands]
Open: { aggregate: "Account", from: "new", fields: { owner: "string(min=1)" }, emit: "Opened" }
Close: { aggregate: "Account", from: "open", emit: "Closed",
  require: [{ check: "{{ state.balance == 0 }}", message: "{{ state.balance }} is left" }] }

[commands.Deposit]
aggregate: "Account"
from: "open"
fields: { amount: "decimal(min=0.01, places=2)", note: "string?" }
emit: "Deposited"

[commands.Withdraw]
aggregate: "Account"
from: "open"
fields: { amount: "decimal(min=0.01, places=2)" }
allow: "{{ meta.user_id != 'mallory' }}"
require: [{ check: "{{ command.amount <= state.balance }}", message: "not enough money" }]
emit: [{ event: "Withdrawn", when: "{{ command.amount < 1000 }}" }]

[projections.accounts]
key: "account"
columns: { account: "string", owner: "string?", balance: "decimal = 0", moves: "integer = 0", touched: "datetime?" }
on:
  Opened: { insert: { owner: "{{ data.owner }}" } }
  Deposited: { update: { balance: "{{ row.balance + data.amount }}", moves: "{{ row.moves + 1 }}", touched: "{{ now }}" } }
  Withdrawn: { update: { balance: "{{ row.balance - data.amount }}", moves: "{{ row.moves + 1 }}" } }
  Closed: { delete: true }

[projections.owners]
key: "owner"
columns: { owner: "string", accounts: "integer = 0" }
on:
  Opened: { upsert: { owner: "{{ data.owner }}", accounts: "{{ row.accounts + 1 }}" } }

[queries.accounts]
params: { owner: "string?", least: "decimal?", text: "string?" }
from: "accounts"
where: { owner: "{{ params.owner }}", balance: { gte: "{{ params.least }}" } }
search: { columns: ["owner", "account"], text: "{{ params.text }}" }
order_by: ["-balance"]
total: true

[queries.account]
params: { account: "string" }
from: "accounts"
where: { account: "{{ params.account }}" }
select: { balance: "{{ row.balance }}", rich: "{{ row.balance > 100 }}" }
returns: "one"
"""

WITNESSED = """
[events]
Opened: {}
Moved: { fields: { amount: "integer", seen: "integer" } }

[aggregates.Account]
id: "string"
state: { balance: "integer = 0" }
on: { Opened: {}, Moved: { balance: "{{ state.balance + data.amount }}" } }

[commands]
Open: { aggregate: "Account", creates: true, emit: "Opened" }

[commands.Move]
aggregate: "Account"
fields: { amount: "integer" }
require: { check: "{{ state.balance + command.amount >= 0 }}", message: "{{ string(state.balance) }}" }
emit: { event: "Moved", data: { amount: "{{ command.amount }}", seen: "{{ state.balance }}" } }
"""
"""An account whose events, and whose refusals, name the balance that the command saw."""


def application(text: str, environment: dict[str, str] | None = None) -> Application:
    """The application that a text declares. Raises InvalidConfiguration."""
    problems = Problems()
    document = load_text(text, "test.tsk", environment or {}, problems)
    return build(document, "test.tsk", problems)
