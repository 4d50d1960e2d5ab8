"""A mistake of each of the likely codes, and what is right in its place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Example(NamedTuple):
    """Two pieces of a file, which stand beside the accounts of `context`."""

    wrong: str
    right: str


MISTAKES: Mapping[str, Example] = {
    # ---- syntax
    "TSK001": Example("[runtime]\nname shop", '[runtime]\nname: "shop"'),
    "TSK002": Example(
        '[runtime]\nname: "shop"\nfn main() { start(); }',
        '[runtime]\nname: "shop"\n# what starts it: tusk-run',
    ),
    "TSK003": Example('[runtime settings]\nname: "shop"', '[runtime]\nname: "shop"'),
    "TSK004": Example(
        '[store_config]\nsqlite:\n\tpath: "shop.db"', '[store_config]\nsqlite:\n  path: "shop.db"'
    ),
    "TSK005": Example(
        '[commands.Rename]\naggregate: "Account"\nrequire:\n    check: "{{ true }}"\n  message: "no"',
        '[commands.Rename]\naggregate: "Account"\nrequire:\n    check: "{{ true }}"\n    message: "no"',
    ),
    "TSK007": Example('[runtime]\nname: "shop"\nname: "bank"', '[runtime]\nname: "bank"'),
    "TSK009": Example("[http]\nlisten.port: 8080", '[http]\nlisten: "127.0.0.1:8080"'),
    "TSK011": Example("[runtime]\nname: my shop", '[runtime]\nname: "my shop"'),
    "TSK012": Example(
        '[commands.Rename]\naggregate: "Account"\ninternal: yes',
        '[commands.Rename]\naggregate: "Account"\ninternal: true',
    ),
    "TSK013": Example(
        '[commands.Rename]\naggregate: "Account"\nallow: {{ meta.user_id != null }}',
        '[commands.Rename]\naggregate: "Account"\nallow: "{{ meta.user_id != null }}"',
    ),
    "TSK014": Example('[runtime]\nname: "shop', '[runtime]\nname: "shop"'),
    "TSK015": Example(
        '[store_config]\nsqlite: { path: "C:\\data\\shop.db" }',
        "[store_config]\nsqlite: { path: 'C:\\data\\shop.db' }",
    ),
    "TSK016": Example(
        '[queries.owners]\nfrom: "accounts"\norder_by: ["owner", "id"',
        '[queries.owners]\nfrom: "accounts"\norder_by: ["owner", "id"]',
    ),
    "TSK019": Example(
        '[queries.owners]\nfrom: "accounts"\norder_by: ["owner" "id"]',
        '[queries.owners]\nfrom: "accounts"\norder_by: ["owner", "id"]',
    ),
    "TSK020": Example('[runtime]\nname: "shop" "bank"', '[runtime]\nname: "shop"'),
    "TSK021": Example(
        '[queries.owners]\nfrom: "accounts"\nlimit: 1_000', '[queries.owners]\nfrom: "accounts"\nlimit: 1000'
    ),
    "TSK023": Example(
        '[event_categories]\naccount_events: { "Opened" }',
        '[event_categories]\naccount_events: ["Opened"]',
    ),
    "TSK036": Example('[runtime]\nname: string = "shop"', '[runtime]\nname: "shop"'),
    # ---- environment
    "TSK110": Example(
        "[http]\nlisten: \"127.0.0.1:@env('PORT')\"", "[http]\nlisten: \"127.0.0.1:@env('PORT', 8080)\""
    ),
    "TSK113": Example(
        '[runtime]\nname: @query("SELECT name FROM app")', "[runtime]\nname: @env('APP_NAME', \"shop\")"
    ),
    "TSK114": Example("[runtime]\nname: @evn('APP_NAME')", "[runtime]\nname: @env('APP_NAME', \"shop\")"),
    # ---- sections, keys, values, types
    "TSK200": Example('[comands.Rename]\naggregate: "Account"', '[commands.Rename]\naggregate: "Account"'),
    "TSK201": Example(
        '[queries.owners]\nfrom: "accounts"\norderby: "owner"',
        '[queries.owners]\nfrom: "accounts"\norder_by: "owner"',
    ),
    "TSK202": Example("[queries.owners]\nlimit: 10", '[queries.owners]\nfrom: "accounts"\nlimit: 10'),
    "TSK203": Example(
        '[queries.owners]\nfrom: "accounts"\nlimit: "ten"', '[queries.owners]\nfrom: "accounts"\nlimit: 10'
    ),
    "TSK204": Example('[event_store]\nbackend: "sqlight"', '[event_store]\nbackend: "sqlite"'),
    "TSK208": Example(
        '[kafka_integration]\nproducer: "async"\n\n[event_producer]\nasync_producer: false',
        '[kafka_integration]\nproducer: "sync"\n\n[event_producer]\nasync_producer: false',
    ),
    "TSK205": Example('[types]\n"order-line": { sku: "string" }', '[types]\nOrderLine: { sku: "string" }'),
    "TSK206": Example(
        '[queries.owners]\nfrom: "accounts"\nlimit: 5000', '[queries.owners]\nfrom: "accounts"\nlimit: 1000'
    ),
    "TSK250": Example('[types]\nMoney: "decimal(places=2"', '[types]\nMoney: "decimal(places=2)"'),
    "TSK251": Example('[types]\nName: "text"', '[types]\nName: "string"'),
    "TSK252": Example('[types]\nName: "string(places=2)"', '[types]\nName: "string(max=40)"'),
    "TSK253": Example('[types]\nAge: "integer(min=99, max=0)"', '[types]\nAge: "integer(min=0, max=99)"'),
    "TSK254": Example(
        '[types]\nLine: { quantity: "integer(min=1) = 0" }',
        '[types]\nLine: { quantity: "integer(min=1) = 1" }',
    ),
    "TSK256": Example('[types]\nSize: "enum(small, small)"', '[types]\nSize: "enum(small, large)"'),
    # ---- between declarations
    "TSK300": Example(
        '[commands.Rename]\naggregate: "Account"\nemit: "Renamed"',
        '[events.Renamed]\nfields: { owner: "string" }\n\n[aggregates.Account.on]\nRenamed: {}\n\n'
        '[commands.Rename]\naggregate: "Account"\nfields: { owner: "string" }\nemit: "Renamed"',
    ),
    "TSK301": Example('[commands.Rename]\naggregate: "Acount"', '[commands.Rename]\naggregate: "Account"'),
    "TSK302": Example(
        '[consumers.bonus]\non: { Opened: { send: "Deposits", with: { amount: 5 } } }',
        '[consumers.bonus]\non: { Opened: { send: "Deposit", with: { amount: 5 } } }',
    ),
    "TSK303": Example('[queries.owners]\nfrom: "owners"', '[queries.owners]\nfrom: "accounts"'),
    "TSK305": Example(
        '[queries.owners]\nfrom: "accounts"\norder_by: "name"',
        '[queries.owners]\nfrom: "accounts"\norder_by: "owner"',
    ),
    "TSK306": Example(
        '[commands.Reopen]\naggregate: "Account"\nemit: { event: "Opened", data: { name: "Ann", owner: "Ann" } }',
        '[commands.Reopen]\naggregate: "Account"\nemit: { event: "Opened", data: { owner: "Ann" } }',
    ),
    "TSK307": Example(
        '[commands.Closed]\naggregate: "Account"\nemit: "Closed"',
        '[commands.CloseNow]\naggregate: "Account"\nemit: "Closed"',
    ),
    "TSK308": Example('[types]\nFolder: { parent: "Folder?" }', '[types]\nFolder: { parent_id: "uuid?" }'),
    "TSK309": Example(
        '[event_categories]\naccounts: ["Opened", "Closed"]\n\n[kafka_config]\ntopics: ["acounts"]',
        '[event_categories]\naccounts: ["Opened", "Closed"]\n\n[kafka_config]\ntopics: ["accounts"]',
    ),
    "TSK310": Example(
        '[commands.Reopen]\naggregate: "Account"\nfrom: "shut"\nemit: { event: "Opened", data: { owner: "Ann" } }',
        '[commands.Reopen]\naggregate: "Account"\nfrom: "closed"\nemit: { event: "Opened", data: { owner: "Ann" } }',
    ),
    "TSK311": Example(
        '[events]\nFrozen: {}\n\n[commands.Freeze]\naggregate: "Account"\nemit: "Frozen"',
        "[events]\nFrozen: {}\n\n[aggregates.Account.on]\nFrozen: {}\n\n"
        '[commands.Freeze]\naggregate: "Account"\nemit: "Frozen"',
    ),
    "TSK313": Example(
        '[commands.Reopen]\naggregate: "Account"\nemit: "Opened"',
        '[commands.Reopen]\naggregate: "Account"\nfields: { owner: "string" }\nemit: "Opened"',
    ),
    "TSK314": Example(
        '[commands.Rename]\naggregate: "Account"\nid: "account"\nfields: { account_id: "uuid" }',
        '[commands.Rename]\naggregate: "Account"\nid: "account_id"\nfields: { account_id: "uuid" }',
    ),
    "TSK315": Example(
        '[projections.owners]\nkey: "id"\ncolumns: { id: "uuid", owner: "string" }\non: { Opened: { insert: {} } }',
        '[projections.owners]\nkey: "id"\ncolumns: { id: "uuid", owner: "string" }\n'
        'on: { Opened: { insert: { owner: "{{ data.owner }}" } } }',
    ),
    "TSK317": Example(
        '[queries.rich]\nfrom: "accounts"\nwhere: { balance: { above: 100 } }',
        '[queries.rich]\nfrom: "accounts"\nwhere: { balance: { gt: 100 } }',
    ),
    "TSK319": Example(
        '[events.Renamed]\nfields: { name: "string" }\nupcast: { 1: { rename: { owner: "name" } } }',
        '[events.Renamed]\nfields: { name: "string" }\nversion: 2\nupcast: { 1: { rename: { owner: "name" } } }',
    ),
    "TSK320": Example(
        '[events.Renamed]\nfields: { name: "string" }\nversion: 2\nupcast: { 1: { rename: { owner: "nam" } } }',
        '[events.Renamed]\nfields: { name: "string" }\nversion: 2\nupcast: { 1: { rename: { owner: "name" } } }',
    ),
    "TSK321": Example(
        '[events.Renamed]\nfields: { name: "string" }\nversion: 2\n'
        'upcast: { 1: { rename: { owner: "name" }, remove: "owner" } }',
        '[events.Renamed]\nfields: { name: "string" }\nversion: 2\n'
        'upcast: { 1: { rename: { owner: "name" }, remove: "title" } }',
    ),
    "TSK323": Example('[events.Renamed]\nwas: "Opened"', '[events.Renamed]\nwas: "OwnerChanged"'),
    "TSK331": Example(
        '[event_store]\nstreaming: "kafka"\n\n[store_config.kafka]\nbrokers: "kafka-1:9092"\n\n'
        '[event_categories]\naccounts: ["Opened"]\n\n'
        '[consumers.welcome]\non: { Opened: { log: "welcome" } }\ntopics: ["acounts"]',
        '[event_store]\nstreaming: "kafka"\n\n[store_config.kafka]\nbrokers: "kafka-1:9092"\n\n'
        '[event_categories]\naccounts: ["Opened"]\n\n'
        '[consumers.welcome]\non: { Opened: { log: "welcome" } }\ntopics: ["accounts"]',
    ),
    "TSK367": Example(
        "[consumers.desk]\naccept:\n"
        '  - { topic: "desk", ignore: true }\n'
        '  - { topic: "desk", send: "Open", with: { owner: "{{ message.name }}" } }',
        "[consumers.desk]\naccept:\n"
        '  - { topic: "desk", when: "{{ message.type != \'new\' }}", ignore: true }\n'
        '  - { topic: "desk", send: "Open", with: { owner: "{{ message.name }}" } }',
    ),
    # ---- expressions
    "TSK400": Example(
        '[commands.Rename]\naggregate: "Account"\nallow: "{{ meta.user_id ! null }}"',
        '[commands.Rename]\naggregate: "Account"\nallow: "{{ meta.user_id != null }}"',
    ),
    "TSK403": Example(
        '[commands.Rename]\naggregate: "Account"\nallow: "{{ user.id == \'ann\' }}"',
        '[commands.Rename]\naggregate: "Account"\nallow: "{{ meta.user_id == \'ann\' }}"',
    ),
    "TSK404": Example(
        '[commands.Drain]\naggregate: "Account"\nrequire: { check: "{{ state.ballance > 0 }}" }',
        '[commands.Drain]\naggregate: "Account"\nrequire: { check: "{{ state.balance > 0 }}" }',
    ),
    "TSK405": Example(
        '[queries.owners]\nfrom: "accounts"\nselect: { owner: "{{ uper(row.owner) }}" }',
        '[queries.owners]\nfrom: "accounts"\nselect: { owner: "{{ upper(row.owner) }}" }',
    ),
    "TSK407": Example(
        '[queries.owners]\nfrom: "accounts"\nselect: { label: "{{ row.owner + row.balance }}" }',
        '[queries.owners]\nfrom: "accounts"\nselect: { label: "{{ row.owner + string(row.balance) }}" }',
    ),
    "TSK409": Example(
        '[commands.Rename]\naggregate: "Account"\nallow: "{{ startswith(meta.user_id, \'ann\') }}"',
        "[commands.Rename]\naggregate: \"Account\"\nallow: \"{{ startswith(meta.user_id ?? '', 'ann') }}\"",
    ),
    "TSK410": Example(
        '[commands.Drain]\naggregate: "Account"\nrequire: { check: "{{ state.status == \'opened\' }}" }',
        '[commands.Drain]\naggregate: "Account"\nrequire: { check: "{{ state.status == \'open\' }}" }',
    ),
    "TSK411": Example(
        '[commands.Rename]\naggregate: "Account"\nallow: "meta.user_id != null"',
        '[commands.Rename]\naggregate: "Account"\nallow: "{{ meta.user_id != null }}"',
    ),
    "TSK412": Example(
        '[commands.Tip]\naggregate: "Account"\nemit: { event: "Deposited", data: { amount: "much" } }',
        '[commands.Tip]\naggregate: "Account"\nemit: { event: "Deposited", data: { amount: 5 } }',
    ),
    "TSK416": Example(
        '[queries.owners]\nfrom: "accounts"\nselect: { n: "{{ row.balance ?? 0 + 1 }}" }',
        '[queries.owners]\nfrom: "accounts"\nselect: { n: "{{ (row.balance ?? 0) + 1 }}" }',
    ),
    # ---- tests
    "TSK600": Example(
        '[tests.opens]\nwhen: { Open: { name: "ann" } }\nthen: ["Opened"]',
        '[tests.opens]\nwhen: { Open: { owner: "ann" } }\nthen: ["Opened"]',
    ),
}
"""By code. A test holds that the wrong one gives exactly this code, and the right one no error."""
