"""Which expressions can say which aggregate is meant."""

from __future__ import annotations

from tusk_runtime.expressions import Expression
from tusk_runtime.expressions.codes import PERSONAL
from tusk_runtime.language.diagnostics import Problems
from tusk_runtime.language.source import Span
from tusk_runtime.model.application import Aggregate
from tusk_runtime.model.codes import NO_TARGET
from tusk_runtime.model.scopes import id_type
from tusk_runtime.types import STRING, assignable


def check_id(
    problems: Problems, expression: Expression, span: Span, aggregate: Aggregate, what: str, root: str
) -> Expression | None:
    """The expression if its value can be an id of the aggregate, or None with a problem noted.

    `what` it is in words: "`id` of the command `Pay`"; `root` is whose fields it is made of: "command".
    """
    type_ = expression.type
    if type_.optional and type_.kind != "json":
        problems.error(
            NO_TARGET,
            span,
            f"{what} may be null",
            help=f"make the field required, or settle it: `{{{{ {root}.field ?? … }}}}`",
        )
        return None
    if expression.personal:
        problems.error(
            PERSONAL,
            span,
            f"{what} is personal data, and an id stands in every event and is never erased",
            help="take an id of its own, such as a uuid, and keep this in a field marked `pii`",
            related=[(aggregate.span, "the aggregate")],
        )
        return expression
    # A text is read as an id when the command is there.
    if not any(assignable(type_, fits) for fits in (aggregate.id, id_type(aggregate.id), STRING)):
        problems.error(
            NO_TARGET,
            span,
            f"{what} gives {type_}, and the id of `{aggregate.name}` is {aggregate.id}",
            help=f"name a field of type {aggregate.id}, or convert it in a `{{{{ }}}}`",
            related=[(aggregate.span, "the aggregate")],
        )
        return None
    return expression
