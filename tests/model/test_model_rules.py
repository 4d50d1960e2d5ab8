"""What a right file means: defaults, filling, keys, conditions."""

from __future__ import annotations

import pytest
from model_golden import built, diagnose

from tusk_runtime.model.application import Aggregate, Command, Query

SHOP = """
[events]
Placed: { fields: { total: "integer", note: "string = 'none'", by: "string?" } }
Shipped: { fields: { at: "date?" } }

[aggregates.Order]
machine: "status"
state: { status: "enum(new, placed, shipped)", total: "integer = 0" }
on: { Placed: { status: "placed", total: "{{ data.total }}" }, Shipped: { status: "shipped" } }
"""


def command(keys: str, before: str = SHOP) -> Command:
    return built(f'{before}\n[commands.Do]\naggregate: "Order"\n{keys}\n').commands["Do"]


def codes(text: str) -> list[str]:
    return [d.code for d in diagnose(text) if d.severity == "error"]


@pytest.mark.parametrize(
    ("keys", "creates"),
    [
        ('emit: "Shipped"', "never"),
        ('from: "new"', "always"),
        ('from: ["new", "placed"]', "either"),
        ('from: "placed"', "never"),
        ('from: "placed"\ncreates: "either"', "either"),
        ('from: "new"\ncreates: false', "never"),
        ("creates: true", "always"),
    ],
)
def test_what_a_command_creates_follows_from_its_states(keys: str, creates: str) -> None:
    assert command(keys).creates == creates


def test_the_first_value_of_a_machine_is_its_initial_state() -> None:
    aggregate: Aggregate = built(SHOP).aggregates["Order"]
    assert aggregate.initial_state == "new"
    assert aggregate.initial == {"status": "new", "total": 0}


def test_data_is_filled_from_the_command_and_from_defaults() -> None:
    emit = command('creates: true\nfields: { total: "integer", by: "string" }\nemit: "Placed"').emit[0]
    value = emit.data({"total": 5, "by": "ann"}, {}, None, None, None)
    assert {**emit.defaults, **value} == {"total": 5, "by": "ann", "note": "none"}


def test_data_that_is_named_wins_over_the_command() -> None:
    emit = command(
        'creates: true\nfields: { total: "integer" }\nemit: { event: "Placed", data: { total: "{{ command.total * 2 }}", '
        'note: "x" } }'
    ).emit[0]
    assert emit.data({"total": 5}, {}, None, None, None) == {"total": 10, "note": "x"}


def test_the_target_is_the_field_the_caller_or_a_new_id() -> None:
    by_field = command('id: "order"\nfields: { order: "uuid" }')
    assert by_field.id is not None
    assert by_field.id({"order": "7"}, None, None) == "7"
    assert (by_field.needs_aggregate_id, by_field.takes_aggregate_id) == (False, False)
    by_caller = command('emit: "Shipped"')
    assert (by_caller.needs_aggregate_id, by_caller.takes_aggregate_id) == (True, True)
    created = command("creates: true")
    assert (created.needs_aggregate_id, created.takes_aggregate_id) == (False, True)


def test_a_loop_names_its_element() -> None:
    emit = command(
        'creates: "either"\nfields: { totals: "list<integer>" }\n'
        'emit: { event: "Placed", for_each: "{{ command.totals }}", as: "t", when: "{{ t > 1 }}", '
        'data: { total: "{{ t + loop.index }}" } }'
    ).emit[0]
    assert emit.for_each is not None
    assert emit.when is not None
    values = ({"totals": [1, 2]}, {}, None, None, None)
    assert emit.for_each(*values) == [1, 2]
    assert emit.when(*values, 1, {"index": 1}) is False
    assert emit.data(*values, 2, {"index": 5}) == {"total": 7}


def test_only_an_event_that_can_be_the_first_sees_what_is_not_set() -> None:
    text = """
[events]
Opened: { fields: { owner: "string" } }
Renamed: { fields: { owner: "string" } }
[aggregates.Account]
state: { owner: "string" }
on: { Opened: { owner: "OPENED" }, Renamed: { owner: "{{ state.owner + data.owner }}" } }
[commands]
Open: { aggregate: "Account", creates: true, fields: { owner: "string" }, emit: "Opened" }
Rename: { aggregate: "Account", fields: { owner: "string" }, emit: "Renamed" }
"""
    assert codes(text.replace("OPENED", "{{ data.owner }}")) == []
    assert codes(text.replace("OPENED", "{{ state.owner + data.owner }}")) == ["TSK409"]


# ---- projections ----------------------------------------------------------------------------------


def operations(
    operation: str, columns: str = '{ id: "uuid", a: "integer = 0", b: "string?" }', key: str = '"id"'
):  # type: ignore[no-untyped-def]
    text = f"{SHOP}\n[projections.rows]\nkey: {key}\ncolumns: {columns}\non: {{ Placed: {operation} }}\n"
    return built(text).projections["rows"].on["Placed"]


EVENT = {"aggregate_id": "7"}
DATA = {"total": 5, "note": "n", "by": None}
ARGUMENTS = (DATA, {}, EVENT, None, None)


def test_the_key_is_the_own_map_else_where_else_the_aggregate() -> None:
    (own,) = operations('{ upsert: { id: "{{ event.event_id }}", a: 1 } }')
    assert own.key(DATA, {}, {"event_id": "e"}, None, None) == {"id": "e"}
    (where,) = operations('{ upsert: { a: 1 }, where: { id: "{{ event.event_id }}" } }')
    assert where.key(DATA, {}, {"event_id": "e"}, None, None) == {"id": "e"}
    assert where.where == ()
    (aggregate,) = operations("{ upsert: { a: 1 } }")
    assert aggregate.key(*ARGUMENTS) == {"id": "7"}
    assert aggregate.values(*ARGUMENTS) == {"a": 1}
    (beside,) = operations('{ upsert: { a: 1 }, where: { b: "x" } }')
    assert beside.key(*ARGUMENTS) == {"id": "7"}
    assert [c.column for c in beside.where] == ["b"]


def test_update_and_delete_take_the_rows_of_where_else_the_aggregate() -> None:
    (update,) = operations("{ update: { a: 1 } }")
    assert update.key(*ARGUMENTS) == {"id": "7"}
    (rows,) = operations('{ update: { a: 1 }, where: { b: "{{ data.by }}" } }')
    assert rows.key is None
    assert [(c.column, c.operator) for c in rows.where] == [("b", "eq")]
    (delete,) = operations("{ delete: true }")
    assert delete.key(*ARGUMENTS) == {"id": "7"}
    assert delete.values is None
    asked = '{ delete: true, where: { id: { eq: "{{ data.by }}" } } }'
    (null,) = operations(asked, '{ id: "string", a: "integer = 0" }')
    assert null.key(*ARGUMENTS) == {"id": None}


def test_row_holds_the_defaults_and_the_key_of_a_row_not_there_yet() -> None:
    columns = '{ id: "uuid", a: "integer = 0", b: "integer" }'
    assert operations(
        '{ upsert: { a: "{{ row.a + 1 }}", b: "{{ (row.b ?? 0) + length(row.id) }}" } }', columns
    )
    projection = built(
        f'{SHOP}\n[projections.rows]\nkey: "id"\ncolumns: {columns}\non: {{ Placed: {{ insert: {{ b: 1 }} }} }}\n'
    ).projections["rows"]
    assert projection.defaults == {"id": None, "a": 0, "b": None}
    assert list(projection.columns.fields) == ["id", "a", "b"]


def test_operations_stand_in_the_order_of_the_text_and_the_star_takes_every_event() -> None:
    text = f"""{SHOP}
[projections.log]
key: "id"
columns: {{ id: "uuid", n: "integer = 0" }}
on:
  Placed: [{{ upsert: {{ n: 1 }} }}, {{ update: {{ n: 2 }}, when: "{{{{ row.n > 0 }}}}" }}]
  "*": {{ upsert: {{ n: "{{{{ data.total ?? 0 }}}}" }} }}
"""
    on = built(text).projections["log"].on
    assert [o.kind for o in on["Placed"]] == ["upsert", "update", "upsert"]
    assert [o.raw for o in on["Placed"]] == [False, False, True]
    assert [o.raw for o in on["Shipped"]] == [True]


def test_a_definition_changes_with_what_decides_its_rows_and_with_nothing_else() -> None:
    text = f'{SHOP}\n[projections.rows]\nkey: "id"\ncolumns: {{ id: "uuid", a: "integer = 0" }}\n'
    text += 'on: { Placed: { upsert: { a: "{{ data.total }}" } } }\n'

    def definition(changed: str) -> str:
        return built(changed).projections["rows"].definition

    assert definition(text) == definition("# a comment\n" + text.replace("upsert: { a", "upsert:   { a"))
    assert definition(text) == definition(text.replace('key: "id"', 'description: "Rows."\nkey: "id"'))
    assert definition(text) != definition(text.replace("{{ data.total }}", "{{ data.total + 1 }}"))
    assert definition(text) != definition(
        text.replace('total: "integer", note', 'total: "integer(min=0)", note')
    )
    assert definition(text) != definition(text.replace('"integer = 0" }\non', '"integer = 1" }\non'))


# ---- queries --------------------------------------------------------------------------------------

ROWS = f"""{SHOP}
[projections.rows]
key: "id"
columns: {{ id: "uuid", total: "integer = 0", note: "string = ''", at: "date?" }}
on: {{ Placed: {{ upsert: {{ total: 1 }} }} }}

[queries.q]
from: "rows"
"""


def query(keys: str) -> Query:
    return built(f"{ROWS}{keys}\n").queries["q"]


def test_conditions_take_values_lists_operators_and_optional_parameters() -> None:
    found = query(
        'params: { a: "integer?", b: "integer", many: "list<string>?", ids: "list<uuid>" }\n'
        "where:\n"
        '  total: { gte: "{{ params.a }}", lt: "{{ params.b }}", not_in: [1, 2], between: [1, 9] }\n'
        '  note: "{{ params.many }}"\n'
        '  id: "{{ [i for i in params.ids] }}"\n'
        "  at: { is_null: true }\n"
    ).where
    assert [(c.column, c.operator, c.omit_if_null) for c in found] == [
        ("total", "gte", True),
        ("total", "lt", False),
        ("total", "not_in", False),
        ("total", "between", False),
        ("note", "in", True),
        ("id", "in", False),
        ("at", "is_null", False),
    ]
    assert query('where: { note: ["a", "b"] }').where[0].operator == "in"


def test_select_gives_columns_or_expressions() -> None:
    assert query("").select is None
    assert list(query('select: ["total", "id"]').columns.fields) == ["total", "id"]
    found = query('params: { by: "integer" }\nselect: { double: "{{ row.total * params.by }}" }')
    assert found.select is not None
    assert found.select["double"]({"total": 4}, {"by": 2}, None, None) == 8
    assert found.columns.fields["double"].type.kind == "integer"
    assert query('select: "total"\nreturns: "scalar"').returns == "scalar"


def test_order_search_and_page() -> None:
    found = query(
        'params: { text: "string?" }\norder_by: ["-total", "id"]\nlimit: 5\ntotal: true\n'
        'search: { columns: "note", text: "{{ params.text }}" }\nallow: "{{ meta.user_id != null }}"'
    )
    assert found.order_by == (("total", True), ("id", False))
    assert (found.limit, found.total) == (5, True)
    assert found.search is not None
    assert found.search.columns == ("note",)
    assert found.allow is not None


# ---- settings and the rest ------------------------------------------------------------------------


def test_settings_have_defaults_and_are_read() -> None:
    settings = built(SHOP).settings
    assert (settings.name, settings.version, settings.source) == ("app", "1", "app")
    assert (settings.backend, settings.path, settings.host, settings.port) == (
        "sqlite",
        None,
        "127.0.0.1",
        8080,
    )
    settings = built(
        '[runtime]\nname: "my shop"\nversion: "2"\n[http]\nlisten: "[::1]:80"\nbody_limit: 2MiB\n'
        '[event_store]\nbackend: "in_memory"\nstreaming: "in_memory"\ncaching: "none"\n'
        '[store_config]\nsqlite: { path: "x.db" }\n'
    ).settings
    assert (settings.name, settings.version, settings.source) == ("my shop", "2", "my shop")
    assert (settings.host, settings.port, settings.body_limit) == ("::1", 80, 2 * 1024 * 1024)
    assert (settings.backend, settings.path) == ("in_memory", "x.db")


def test_an_event_only_named_in_a_category_is_a_warning_and_its_data_json() -> None:
    text = '[event_categories]\norders: ["Placed"]\n[aggregates.Order]\nstate: { n: "integer = 0" }\n'
    text += 'on: { Placed: { n: "{{ data.n ?? 0 }}" } }\n'
    application = built(text)
    assert [d.code for d in application.warnings] == ["TSK351"]
    assert (application.events["Placed"].declared, application.events["Placed"].category) == (False, "orders")
    assert application.aggregates["Order"].on["Placed"].changes({"n": 3}, {}, None, None, None) == {"n": 3}


def test_categories_come_from_both_places() -> None:
    application = built(
        '[event_categories]\na: ["X"]\n[events]\nX: {}\nY: { category: "b" }\n[aggregates.Z]\non: { X: {}, Y: {} }\n'
    )
    assert {name: event.category for name, event in application.events.items()} == {"X": "a", "Y": "b"}


def test_a_description_may_stand_everywhere() -> None:
    text = """
[runtime]
description: "d"
[events]
description: "d"
Placed: { description: "d", fields: { description: "string" } }
[aggregates.Order]
description: "d"
on: { Placed: {} }
[commands.Place]
description: "d"
aggregate: "Order"
creates: true
fields: { description: "string" }
require: [{ description: "d", check: "{{ true }}", message: "m" }]
emit: [{ description: "d", event: "Placed" }]
[projections.orders]
description: "d"
key: "id"
columns: { id: "uuid" }
on: { Placed: { description: "d", insert: {} } }
[queries.orders]
description: "d"
from: "orders"
[tests.t]
description: "d"
then: { description: "d", events: [] }
"""
    application = built(text)
    assert application.commands["Place"].description == "d"
    assert application.warnings == ()


def test_types_nest_in_any_order() -> None:
    application = built(
        '[types]\nOrder: { lines: "list<Line>", at: "When?" }\nLine: { price: "Money = 1" }\n'
        'Money: "decimal(places=2)"\nWhen: "datetime"\n'
    )
    order = application.types["Order"].record
    assert order is not None
    assert str(order.fields["lines"].type) == "list<Line>"
    assert order.fields["at"].type.optional
    assert application.types["Money"].places == 2


def test_one_value_is_a_list_of_one() -> None:
    one = command(
        'from: "new"\nfields: { total: "integer" }\nrequire: { check: "{{ true }}", message: "m" }\nemit: "Placed"'
    )
    many = command(
        'from: ["new"]\nfields: { total: "integer" }\nrequire: [{ check: "{{ true }}", message: "m" }]\nemit: ["Placed"]'
    )
    assert (one.from_states, len(one.require), len(one.emit)) == (
        many.from_states,
        len(many.require),
        len(many.emit),
    )
