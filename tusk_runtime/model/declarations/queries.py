"""`[queries.*]`: what may be asked of the read models."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, cast

from tusk_runtime.expressions import COMPARED, Expression, compile_value
from tusk_runtime.language.document import Entry, MapNode, Node, ScalarNode
from tusk_runtime.language.source import Span
from tusk_runtime.model.application import Projection, Query, Search
from tusk_runtime.model.codes import BAD_QUERY, NOT_YET, UNDECLARED_COLUMN
from tusk_runtime.model.context import Building, suggest
from tusk_runtime.model.loops import read_condition
from tusk_runtime.model.named_types import BROKEN, is_open, read_fields
from tusk_runtime.model.names import check_name
from tusk_runtime.model.reader import DESCRIPTION, Key, Reader, items_of, wrong_type
from tusk_runtime.model.scopes import params_scope, row_scope
from tusk_runtime.model.where import UNORDERED, read_where
from tusk_runtime.types import STRING, TEXTS, Field, Record

MAX_LIMIT = 1000
SEARCH_KEYS = (
    DESCRIPTION,
    Key("columns", "columns", "Where to look.", required=True),
    Key("text", "expression", "The words; all rows fit where it is null.", required=True),
)
KEYS = (
    DESCRIPTION,
    Key("params", "map of types", "What the caller may give."),
    Key("from", "projection", "Where the rows come from.", required=True),
    Key("where", "map of columns", "Which rows."),
    Key(
        "search",
        "map",
        "Every word of the text must be in one of the columns, in any case.",
        keys=SEARCH_KEYS,
    ),
    Key("join", "map", "Rows of other projections beside each row.", later=True),
    Key(
        "select", "columns, or name → expression", "What a row of the answer holds; all columns if not said."
    ),
    Key("order_by", "column, or list of columns", 'The order; `"-column"` is descending.'),
    Key("limit", "number", "The rows of a page, at most 1000; 100 where nothing is said."),
    Key("total", "`true` or `false`", "`true`: the answer counts all rows that fit."),
    Key("sql", "text", "A read-only statement.", later=True),
    Key("columns", "map of types", "The columns of `sql`.", later=True),
    Key("returns", "`many`, `one` or `scalar`", "A page of rows, one row (404 if none), or one value."),
    Key("cache", "duration", "How long an answer may be kept.", later=True),
    Key("roles", "names", "Who may, besides operator and admin.", later=True),
    Key("allow", "condition", "Who may, as a condition; 403 where it does not hold."),
    Key("consistency", "`eventual` or `own_writes`", "Whether to wait for the caller's last.", later=True),
)
HINT = "what the caller gives stands in `params: { … }`"
RESERVED = frozenset({"cursor", "limit"})
"""The parameters that every query has: they page through the answer."""


def read(b: Building) -> None:
    """Read all queries into `b.queries`."""
    for entry, node in b.declarations("queries"):
        reader = Reader(node, KEYS, f"the query `{entry.key}`", b.problems, entry.key_span, HINT)
        query = _query(b, entry.key, reader)
        if query is not None:
            b.queries[entry.key] = query
        else:
            b.broken.add(("queries", entry.key))


def _query(b: Building, name: str, reader: Reader) -> Query | None:
    params = read_fields(reader, "params", "params", b.types, what="parameter", reserved=RESERVED)
    projection = _projection(b, reader)
    scope = params_scope(params)
    limit, total = reader.integer("limit", 100, 1, MAX_LIMIT), reader.flag("total")
    allow = read_condition(reader, "allow", scope)
    if projection is None:
        return None
    columns = projection.columns
    select, answer = _select(b, reader, columns, params)
    return Query(
        name,
        params,
        projection.name,
        read_where(reader.node_of("where"), columns, scope, b.problems, reader.what),
        _search(b, reader, columns, params),
        select,
        answer,
        _order(reader, columns),
        limit,
        total,
        _returns(reader, columns),
        allow,
        reader.text("description"),
        reader.head,
    )


def _projection(b: Building, reader: Reader) -> Projection | None:
    name = reader.text("from")
    if not name:
        return None
    span = reader.value_span("from")
    if name in b.aggregates and name not in b.projections:
        b.problems.error(
            NOT_YET,
            span,
            f"a query from the aggregate `{name}` is not available yet",
            help=f"ask `GET /api/aggregates/{name}/ID`, or name a projection of its events",
        )
        return None
    return cast("Projection | None", b.find("projections", name, span))


def _returns(reader: Reader, columns: Record) -> Literal["many", "one", "scalar"]:
    returns = reader.choice("returns", "many", ["many", "one", "scalar"])
    select = reader.node_of("select")
    if returns == "scalar":
        count = len(columns.fields)
        if select is not None:
            count = len(select) if isinstance(select, MapNode) else len(items_of(select))
        if count != 1 and not is_open(columns):
            reader.problems.error(
                BAD_QUERY,
                reader.value_span("returns"),
                f"{reader.what} returns one value, and a row of it has {count}",
                help=f'write `select: ["{next(iter(columns.fields))}"]`, with the one column asked for',
            )
    if returns != "many":
        for key in ("total", "limit"):
            if key in reader:
                reader.problems.error(
                    BAD_QUERY,
                    reader.span_of(key),
                    f"{reader.what} returns one row, so `{key}` means nothing",
                    help=f"remove `{key}`, or write `returns: many`",
                    related=[(reader.span_of("returns"), f"`{returns}` is one row")],
                )
    return cast(Literal["many", "one", "scalar"], returns)


def _select(
    b: Building, reader: Reader, columns: Record, params: Record
) -> tuple[dict[str, Expression] | None, Record]:
    """What a row of the answer holds (None: all columns), and the types of that."""
    node = reader.node_of("select")
    if node is None:
        return None, columns
    scope = row_scope(columns, params)
    found: dict[str, Expression] = {}
    types: dict[str, Field] = {}
    for entry in _selected(reader, node, columns):
        expression = compile_value(entry.node, scope, b.problems)
        if expression is not None:
            found[entry.key] = expression
        types[entry.key] = Field(entry.key, expression.type if expression is not None else BROKEN)
    return found, Record("row", types)


def _selected(reader: Reader, node: Node, columns: Record) -> Iterator[Entry]:
    """The entries of `select`: a column's name stands for its value."""
    if isinstance(node, MapNode):
        for entry in node:
            if check_name(reader.problems, entry, "a field of the answer"):
                yield entry
        return
    for item in items_of(node):
        name = item.value if isinstance(item, ScalarNode) else None
        if not isinstance(name, str):
            expected = "a column's name, a list of these, or a map of names and `{{ }}`"
            wrong_type(reader.problems, item, f"`select` of {reader.what}", expected)
        elif _is_column(reader, name, item.span, columns):
            yield Entry(name, item.span, ScalarNode(f"{{{{ row.{name} }}}}", item.span, quoted=True))


def _is_column(reader: Reader, name: str, span: Span, columns: Record) -> bool:
    if name in columns.fields:
        return True
    if is_open(columns):
        return False
    reader.problems.error(
        UNDECLARED_COLUMN,
        span,
        f"there is no column `{name}` for {reader.what}",
        help=suggest(name, columns.fields, "the projection"),
    )
    return False


def _search(b: Building, reader: Reader, columns: Record, params: Record) -> Search | None:
    node = reader.map("search", '`{ columns: [ … ], text: "{{ … }}" }`')
    if node is None:
        return None
    what = f"`search` of {reader.what}"
    inner = Reader(node, SEARCH_KEYS, what, b.problems, reader.span_of("search"))
    names = []
    for item in inner.texts("columns", "a column, or a list of columns"):
        name = str(item.value)
        if not _is_column(reader, name, item.span, columns):
            continue
        type_ = columns.fields[name].type
        if type_.kind in TEXTS or type_ is BROKEN:
            names.append(name)
        else:
            b.problems.error(
                BAD_QUERY,
                item.span,
                f"{what} looks into texts, and the column `{name}` is {type_}",
                help="name columns of text only; ask for others in `where`",
            )
    text_node = inner.node_of("text")
    if text_node is None:
        return None
    text = compile_value(text_node, params_scope(params), b.problems, STRING.or_null(), COMPARED)
    return Search(tuple(names), text) if text is not None and names else None


def _order(reader: Reader, columns: Record) -> tuple[tuple[str, bool], ...]:
    found: dict[str, bool] = {}
    for item in reader.texts("order_by", 'a column such as `"-placed_at"`, or a list of columns'):
        text = str(item.value)
        name = text.removeprefix("-").strip()
        if not _is_column(reader, name, item.span, columns):
            continue
        type_ = columns.fields[name].type
        if type_.kind in UNORDERED and type_.kind != "boolean" and type_ is not BROKEN:
            reader.problems.error(
                BAD_QUERY,
                item.span,
                f"`order_by` of {reader.what} names `{name}`, which is {type_} and has no order",
                help="order by columns of texts, numbers or times",
            )
        found.setdefault(name, text.startswith("-"))
    return tuple(found.items())
