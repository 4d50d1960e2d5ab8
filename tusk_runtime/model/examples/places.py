"""An example of each section, and of each map with keys, by its path."""

from __future__ import annotations

from collections.abc import Mapping

PLACES: Mapping[str, str] = {
    "types": """\
[types]
Money: "decimal(min=0, places=2)"
Address: { street: "string(min=1)", city: "string", country: "enum(de, at, ch) = de" }
""",
    "event_categories": """\
[event_categories]
account_events: ["Opened", "Deposited"]
""",
    "event_structure": """\
[event_structure]
event_id: "uuid"
event_type: "string"
aggregate_id: "uuid"
version: "integer"
timestamp: "datetime"
data: "json"
metadata: "json"
""",
    "events.*": """\
[events.Renamed]
description: "The account has another name."
fields: { name: "string(max=80)", renamed_by: "uuid?" }
category: "account_events"
publish: false
was: "OwnerChanged"
version: 2
upcast: { 1: { rename: { owner: "name" } } }
""",
    "events.*.upcast.*": """\
[events.Transferred]
fields: { to: "uuid", amount: "decimal(places=2)", currency: "enum(EUR, USD)" }
version: 3
upcast:
  1: { rename: { target: "to" }, add: { currency: "EUR" } }
  2: { set: { amount: "{{ decimal(data.cents) / 100 }}" }, remove: "cents" }
""",
    "aggregates.*": """\
[events]
CardIssued: { fields: { holder: "string", number: "string" } }
CardBlocked: {}

[aggregates.Card]
description: "A bank card."
id: "string"
machine: "status"
state: { status: "enum(new, active, blocked) = new", holder: "string?", number: "string?" }
on:
  CardIssued: { status: "active", holder: "{{ data.holder }}", number: "{{ data.number }}" }
  CardBlocked: { status: "blocked" }
unique: "number"
snapshot_every: 100
""",
    "commands.*": """\
[commands.Refund]
description: "Gives back what was taken by mistake."
aggregate: "Account"
id: "account_id"
from: ["open", "closed"]
creates: false
fields: { account_id: "uuid", amount: "decimal(min=0.01, places=2)" }
allow: "{{ 'clerk' in meta.roles }}"
require: { check: "{{ command.amount <= 100 }}", message: "ask the bank" }
emit: "Deposited"
internal: false
""",
    "commands.*.require": """\
[commands.Refund]
aggregate: "Account"
fields: { amount: "decimal(places=2)" }
require:
  - { check: "{{ command.amount > 0 }}", message: "it must be something" }
  - { check: "{{ state.balance >= 0 }}", message: "{{ state.balance }} is the balance" }
emit: "Deposited"
""",
    "commands.*.emit": """\
[commands.DepositAll]
aggregate: "Account"
fields: { amounts: "list<decimal>" }
emit:
  - { event: "Deposited", for_each: "{{ command.amounts }}", as: "each", data: { amount: "{{ each }}" } }
  - { event: "Closed", when: "{{ length(command.amounts) == 0 }}" }
""",
    "projections.*": """\
[projections.by_owner]
description: "How many accounts each owner has opened."
key: "owner"
columns: { owner: "string", opened: "integer = 0" }
index: "opened"
mode: "real_time"
on: { Opened: { upsert: { owner: "{{ data.owner }}", opened: "{{ row.opened + 1 }}" } } }
""",
    "projections.*.on.*": """\
[projections.moves]
key: "id"
columns: { id: "uuid", largest: "decimal = 0" }
on:
  Opened: { insert: {} }
  Deposited: { update: { largest: "{{ data.amount }}" }, when: "{{ data.amount > row.largest }}" }
  Closed: { delete: true }
""",
    "queries.*": """\
[queries.rich]
description: "The accounts with more than a bound."
params: { bound: "decimal = 100", text: "string?" }
from: "accounts"
where: { balance: { gt: "{{ params.bound }}" } }
search: { columns: "owner", text: "{{ params.text }}" }
select: { owner: "{{ upper(row.owner) }}", balance: "{{ row.balance }}" }
order_by: ["-balance", "owner"]
limit: 20
total: true
allow: "{{ meta.user_id != null }}"
""",
    "queries.*.search": """\
[queries.find]
params: { text: "string?" }
from: "accounts"
search: { columns: ["owner"], text: "{{ params.text }}" }
""",
    "consumers.*": """\
[consumers.welcome]
description: "Gives a bonus to whoever opens an account, and notes who closes one."
on:
  Opened: { send: "Deposit", with: { amount: 5 } }
  Closed: { log: "{{ event.aggregate_id }} is closed" }
group: "welcome-2"
concurrency: 4
batch_size: 100
timeout: "10s"
retry: { attempts: 10, delay: "2s" }
dead_letter: true
on_refused: "ignore"
""",
    "consumers.*.on.*": """\
[events.Shared]
fields: { by: "uuid", parts: "list<decimal(places=2)>" }

[runtime]
allow_python: true

[consumers.sharing]
on:
  Shared:
    - { call: "bank.tools:shared", with: { by: "{{ data.by }}" } }
    - { log: "shared in {{ length(data.parts) }} parts", when: "{{ length(data.parts) > 10 }}" }
    - { send: "Deposit", for_each: "{{ data.parts }}", as: "part", with: { aggregate_id: "{{ data.by }}", amount: "{{ part }}" } }
""",
    "consumers.*.on.*.log": """\
[consumers.watch]
on: { Deposited: { log: { level: "warning", message: "{{ data.amount }} at once" }, when: "{{ data.amount > 1000 }}" } }
""",
    "consumers.*.on.*.email": """\
[events.Invited]
fields: { mail: "email pii", name: "string" }

[aggregates.Account.on]
Invited: {}

[email]
smtp: "smtp.example.com:587"
from: "Bank <bank@example.com>"

[consumers.inviting]
on: { Invited: { email: { to: ["{{ data.mail }}", "office@example.com"], subject: "Welcome, {{ data.name }}", text: "Your account is open.", html: "<p>Hello <b>{{ data.name | title }}</b>, your account is open.</p>" } } }
""",
    "consumers.*.on.*.http": """\
[events.Billed]
fields: { mail: "email? pii", amount: "decimal(places=2)" }

[aggregates.Account.on]
Billed: {}

[consumers.billing]
on:
  Billed:
    http:
      url: "@env('BILLING', 'https://billing.example.com')/accounts/{{ event.aggregate_id }}"
      method: "PUT"
      json: { mail: "{{ data.mail }}", amount: "{{ data.amount }}" }
      headers: { Authorization: "Bearer @env.secure('BILLING_TOKEN', 'only here')" }
      timeout: "5s"
      sign_with: "@env.secure('BILLING_KEY', 'only here')"
    pii: true
""",
    "consumers.*.accept": """\
[consumers.counter]
description: "Takes what the cash desk writes to a topic of its own."
topics: ["cash_desk"]
accept:
  - when: "{{ message.type == 'paid in' }}"
    message: { account: "uuid", amount: "decimal(places=2)", receipt: "string" }
    send: "Deposit"
    with: { aggregate_id: "{{ message.account }}" }
    id: "{{ message.receipt }}"
  - { topic: "cash_desk", ignore: true }
""",
    "consumers.*.on.*.publish": """\
[event_store]
streaming: "kafka"

[store_config.kafka]
brokers: "@env('KAFKA_BROKERS', 'kafka-1:9092')"

[consumers.telling_others]
on:
  Deposited:
    publish:
      topic: "incoming-payments"
      key: "{{ event.aggregate_id }}"
      value: { account: "{{ event.aggregate_id }}", amount: "{{ data.amount }}", at: "{{ now }}" }
      headers: { ce_type: "com.example.deposited" }
    pii: false
""",
    "consumers.*.retry": """\
[consumers.patient]
on: { Opened: { send: "Deposit", with: { amount: 5 } } }
retry: { attempts: 20, delay: "500ms", backoff: "linear", max_delay: "5m", jitter: false }
""",
    "tests.*": """\
[tests.what_is_deposited_is_there]
given: [{ Opened: { owner: "ann" } }]
when: [{ Deposit: { amount: 5 } }, { after: "1d" }, { Deposit: { amount: 7 } }]
then: [{ Deposited: { amount: 5 } }, { Deposited: { amount: 7 } }]
now: "2026-03-01T12:00:00Z"
by: { user_id: "ann" }
""",
    "tests.*.when": """\
[tests.money_rests]
given: [{ Opened: { owner: "ann" } }]
when: [{ Deposit: { amount: 5 } }, { after: "2d" }, "Close"]
then: [{ Deposited: { amount: 5 } }, "Closed"]
""",
    "tests.*.when.message": """\
[consumers.bank]
accept:
  topic: "bank"
  message: { account: "uuid", amount: "decimal" }
  send: "Deposit"
  with: { aggregate_id: "{{ message.account }}" }

[tests.the_bank_tells_of_money]
given: [{ Opened: { aggregate_id: "ann", owner: "ann" } }]
when:
  - message: { topic: "bank", key: "ann", value: { account: "ann", amount: "5.00" }, headers: { message-id: "m1" } }
  - message: { topic: "bank", value: { account: "ann" } }
then: { events: [{ Deposited: { amount: 5 } }], dead_letters: 1 }
""",
    "tests.*.then": """\
[tests.a_deposit_is_seen]
given: [{ Opened: { owner: "ann" } }]
when: { Deposit: { amount: 5 } }
then:
  includes: [{ Deposited: { amount: 5 } }]
  state: [{ Account: { balance: 5 } }]
  rows: { accounts: [{ owner: "ann", balance: 5 }] }
  query: { accounts: { rows: [{ balance: 5 }] } }

[tests.nothing_into_a_closed_one]
given: [{ Opened: { owner: "ann" } }, "Closed"]
when: { Deposit: { amount: 5 } }
then: { rejected: "is closed", events: [] }
""",
    "tests.*.then.query.*": """\
[tests.the_query_answers]
given: [{ Opened: { owner: "ann" } }]
then: { query: { accounts: { params: {}, rows: [{ owner: "ann" }] } } }
""",
    "tests.*.then.calls": """\
[consumers.telling]
on: { Opened: { http: { url: "https://bank.example.com/opened", json: { owner: "{{ data.owner }}" } } } }

[tests.who_opened_is_told]
when: { Open: { owner: "ann" } }
then: { calls: [{ http: "https://bank.example.com/opened", method: "POST", json: { owner: "ann" } }] }
""",
    "tests.*.answers.*": """\
[consumers.asking]
on: { Deposited: { http: { url: "https://bank.example.com/money", json: { amount: "{{ data.amount }}" } } } }

[tests.a_call_is_made_again]
answers: { "https://bank.example.com/money": [{ status: 503 }, { json: { ok: true } }] }
given: [{ Opened: { owner: "ann" } }]
when: [{ Deposit: { amount: 5 } }, { after: "1m" }]
then: { calls: [{ http: "https://bank.example.com/money" }, { http: "https://bank.example.com/money" }] }
""",
    "tests.*.by": """\
[tests.a_clerk_deposits]
given: [{ Opened: { owner: "ann" } }]
when: { Deposit: { amount: 5 } }
then: ["Deposited"]
by: { user_id: "bob", roles: ["clerk"], tenant_id: "north" }
""",
    "runtime": """\
[runtime]
name: "bank"
version: "1.4"
source: "urn:example:bank"
allow_python: false
""",
    "http": """\
[http]
listen: "127.0.0.1:8080"
body_limit: "2MiB"
allow_hosts: ["api.example.com", "backup.example.com"]
""",
    "email": """\
[email]
smtp: "smtp.example.com:587"
from: "Bank <bank@example.com>"
user: "bank"
password: "@env.secure('SMTP_PASSWORD', 'only here')"
tls: "starttls"
""",
    "event_types": """\
[event_types]
domain_events: true
integration_events: true
system_events: true
audit_events: true

[projections.refusals]
description: "Who was refused what, and why."
key: "id"
columns: { id: "string", command: "string", who: "string?", reason: "string" }
on:
  CommandRefused:
    insert: { id: "{{ event.event_id }}", command: "{{ data.command }}", who: "{{ data.user_id }}", reason: "{{ data.reason }}" }
""",
    "event_store": """\
[event_store]
backend: "sqlite"
streaming: "in_memory"
caching: "none"
""",
    "store_config": """\
[store_config]
sqlite: { path: "bank.db" }
""",
    "store_config.sqlite": """\
[store_config]
sqlite: { path: "bank.db" }
""",
    "store_config.postgresql": """\
[event_store]
backend: "postgresql"

[store_config]
postgresql: { connection_string: "@env('DATABASE_URL', 'postgresql://localhost/bank')", table_name: "bank", partitioning: "by_aggregate", pool_size: 20 }
""",
    "store_config.postgresql.tls": """\
[event_store]
backend: "postgresql"

[store_config.postgresql]
connection_string: "@env('DATABASE_URL', 'postgresql://db.example/bank')"
tls: { mode: "verify-full", ca: "tls/ca.pem", cert: "tls/bank.pem", key: "tls/bank.key" }
""",
    "store_config.kafka": """\
[event_store]
streaming: "kafka"

[store_config.kafka]
brokers: ["kafka-1:9092", "kafka-2:9092"]
topic_prefix: "bank"
retention: "7d"
partitions: 24
replication_factor: 3
max_record_size: 2MiB
""",
    "store_config.kafka.tls": """\
[event_store]
streaming: "kafka"

[store_config.kafka]
brokers: "@env('KAFKA_BROKERS', 'kafka-1:9093, kafka-2:9093')"
tls: { mode: "verify-full", ca: "tls/ca.pem", cert: "tls/bank.pem", key: "tls/bank.key" }
""",
    "store_config.kafka.sasl": """\
[event_store]
streaming: "kafka"

[store_config.kafka]
brokers: "kafka-1:9093"
tls: true
sasl: { mechanism: "SCRAM-SHA-512", username: "bank", password: "@env('KAFKA_PASSWORD', 'only here')" }
""",
    "kafka_integration": """\
[kafka_integration]
producer: "sync"
consumer: "consumer_groups"
streaming: "kafka_streams"
""",
    "event_producer": """\
[event_producer]
async_producer: true
batch_publishing: true
error_handling: false
""",
    "event_consumer": """\
[event_consumer]
consumer_groups: true
offset_management: true
error_handling: false
""",
    "kafka_config": """\
[event_store]
streaming: "kafka"

[event_categories]
account_events: ["Opened", "Deposited", "Closed"]

[kafka_config]
brokers: ["kafka-1:9092", "kafka-2:9092", "kafka-3:9092"]
topics: ["account_events"]
""",
}
"""By the path of `reference.places`, or the name of a section without keys of its own."""
