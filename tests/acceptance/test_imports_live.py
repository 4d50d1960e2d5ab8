"""An application of several files follows the edits of each of them."""

from __future__ import annotations

from support import until

APP = '@import "parts/counter.tsk"\n\n[queries]\ncounters: { from: "counters" }\n'
COUNTER = """
[events]
Counted: { fields: { by: "integer" } }

[aggregates]
Counter: { id: "string", state: { total: "integer = 0" }, on: { Counted: { total: "{{ state.total + data.by }}" } } }

[commands]
Count: { aggregate: "Counter", creates: "either", fields: { by: "integer = STEP" }, emit: "Counted" }

[projections]
counters: { key: "name", columns: { name: "string", total: "integer = 0" }, on: { Counted: { upsert: { total: "{{ row.total + data.by }}" } } } }
"""


async def test_an_edit_of_an_imported_file_is_live_and_a_bad_one_changes_nothing(serve, tmp_path) -> None:
    parts = tmp_path / "parts"
    parts.mkdir()
    (parts / "counter.tsk").write_text(COUNTER.replace("STEP", "1"))
    file = tmp_path / "app.tsk"
    file.write_text(APP)
    server = serve(file)
    await server.start()
    connection = server.connection()

    async def count() -> int:
        status, body = await connection.request("POST", "/api/commands/Count", b'{"aggregate_id": "a"}')
        assert status == 200, body
        return (await connection.json("/api/aggregates/Counter/a"))["state"]["total"]

    async def generation() -> int:
        return (await connection.json("/api/status"))["generation"]

    assert await count() == 1
    first = await generation()

    (parts / "counter.tsk").write_text(COUNTER.replace("STEP", "10"))
    await until(lambda: f"generation {first + 1} is live" in server.printed(), "the imported edit is live")
    assert await count() == 11

    (parts / "counter.tsk").write_text(COUNTER.replace("STEP", "oops"))
    await until(lambda: "not applied" in server.printed(), "the bad edit is told")
    assert "parts/counter.tsk" in server.printed()
    assert await count() == 21

    (parts / "more.tsk").write_text(COUNTER.replace("STEP", "100"))
    file.write_text(APP.replace("counter.tsk", "more.tsk"))
    await until(lambda: f"generation {first + 2} is live" in server.printed(), "another import is live")
    (parts / "more.tsk").write_text(COUNTER.replace("STEP", "1000"))
    await until(lambda: f"generation {first + 3} is live" in server.printed(), "its edits are followed")
    assert await count() == 1021
