"""The application that the examples stand beside: bank accounts, as small as they can be."""

CONTEXT = """\
[events]
Opened: { fields: { owner: "string" } }
Deposited: { fields: { amount: "decimal(places=2)" } }
Closed: {}

[aggregates.Account]
machine: "status"
state: { status: "enum(new, open, closed) = new", balance: "decimal(places=2) = 0" }
on:
  Opened: { status: "open" }
  Deposited: { balance: "{{ state.balance + data.amount }}" }
  Closed: { status: "closed" }

[commands]
Open: { aggregate: "Account", from: "new", fields: { owner: "string" }, emit: "Opened" }
Deposit: { aggregate: "Account", from: "open", fields: { amount: "decimal(places=2)" }, emit: "Deposited" }
Close: { aggregate: "Account", from: "open", emit: "Closed" }

[projections.accounts]
key: "id"
columns: { id: "uuid", owner: "string", opened_at: "datetime", balance: "decimal = 0" }
on:
  Opened: { insert: { owner: "{{ data.owner }}", opened_at: "{{ now }}" } }
  Deposited: { update: { balance: "{{ row.balance + data.amount }}" } }
  Closed: { delete: true }

[queries]
accounts: { from: "accounts" }

"""
