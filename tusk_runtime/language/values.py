"""From the values of a syntax tree to the nodes of a document: operators, variables and expressions done."""

from __future__ import annotations

from collections.abc import Sequence

from tusk_runtime.language import calculate, codes, operators, refusals
from tusk_runtime.language.calculate import Mismatch
from tusk_runtime.language.diagnostics import Code, Problems
from tusk_runtime.language.document import (
    UNRESOLVED,
    Entry,
    ListNode,
    MapNode,
    Node,
    ScalarNode,
    Variable,
    unresolved,
)
from tusk_runtime.language.interpolation import is_function, resolve_text
from tusk_runtime.language.parse import MOST_ERRORS
from tusk_runtime.language.scope import LONGEST_TEXT, Scope
from tusk_runtime.language.source import Span
from tusk_runtime.language.surroundings import Surroundings
from tusk_runtime.language.syntax_tree import (
    Call,
    Conditional,
    ListValue,
    MapValue,
    Member,
    Named,
    Operation,
    Pair,
    Reference,
    Value,
)
from tusk_runtime.language.syntax_tree import Variable as VariableUse
from tusk_runtime.language.unseen import Unseen


class Values:
    """Resolves the values of one file, from top to bottom.

    What could not be resolved is null, with an error in the problems. A branch that is not taken is looked
    through all the same, for mistakes that do not depend on values: `untaken` is above 0 there.
    """

    def __init__(self, scope: Scope, surroundings: Surroundings, problems: Problems, unseen: Unseen) -> None:
        self.scope = scope
        self.surroundings = surroundings
        self.untaken = 0
        self._told_large = False
        self.problems = problems
        self._unseen = unseen
        self._limit = len(problems) + MOST_ERRORS

    # ---- maps -------------------------------------------------------------------------------------

    def fill(self, target: MapNode, pairs: Sequence[Pair]) -> None:
        """Put keys into a map; one that is there already is an error."""
        scope, unseen = self.scope, self._unseen
        entries = target.entries
        nested = target is not scope.open[-1]
        if nested:
            scope.open.append(target)
        for pair in pairs:
            key, span, value = pair.key.text, pair.key.span, pair.value
            is_variable = key[:1] == "$"
            first = (target.variables or {}).get(key) if is_variable else entries.get(key)
            if first is not None:
                self._twice(key, span, first)
            if type(value) is MapValue and first is None and not is_variable:
                # What stands in a map can name what stands above it in the same map.
                inner = MapNode({}, value.span)
                entries[key] = Entry(key, span, inner)
                self.fill(inner, value.pairs)
                continue
            outermost = is_variable and unseen.defining is None
            if outermost:
                unseen.defining = pair
            node = value if type(value) is ScalarNode and not value.quoted else self.node(value)
            if outermost:
                unseen.defining = None
            if key.endswith("fujsen") or (isinstance(node, ScalarNode) and is_function(node)):
                self.error(
                    codes.FUJSEN,
                    span,
                    "functions (FUJSEN) are not run",
                    "write what it decides as `{{ }}` expressions; Python code is named by the `call` action",
                )
            if first is not None:
                continue
            if is_variable:
                scope.define(target, Entry(key, span, node))
            else:
                entries[key] = Entry(key, span, node)
        if nested:
            scope.open.pop()

    def _twice(self, key: str, span: Span, first: Entry) -> None:
        self.error(
            codes.DUPLICATE_KEY,
            span,
            f"`{key}` is given twice: in line {first.key_span.line} and in line {span.line}",
            "remove one of the two",
            label="given again",
            related=[(first.key_span, "first given here")],
        )

    # ---- values -----------------------------------------------------------------------------------

    def node(self, value: Value) -> Node:
        """The node of any value."""
        match value:
            case ScalarNode():
                return resolve_text(self, value) if value.quoted else value
            case ListValue():
                return ListNode(tuple([self.node(item) for item in value.items]), value.span)
            case MapValue():
                node = MapNode({}, value.span)
                self.fill(node, value.pairs)
                return node
            case Call() | Member():
                return self._call(value)
            case VariableUse():
                return self._variable(value)
            case Conditional():
                return self.choose(value.condition, value.yes, value.no)
            case Operation():
                return self._operation(value)
            case Reference():
                self._reference(value)
                return unresolved(value.span)

    def _call(self, call: Call | Member) -> Node:
        methods: list[Member] = []
        base = call
        while isinstance(base, Member):
            methods.append(base)
            base = base.of
        if refusals.refuse(base.name, base.name_span, self.problems, base.arguments):
            return unresolved(call.span)
        arguments = [*base.arguments, *(a for method in methods for a in method.arguments or ())]
        named = [argument for argument in arguments if isinstance(argument, Named)]
        if named:
            self.bad_call(
                named[0].name.span,
                f"`@{base.name}` takes no arguments with names",
                operators.operator(base.name).form,
            )
            return unresolved(call.span)
        return operators.run(self, base, methods[::-1])

    def _variable(self, use: VariableUse) -> Node:
        found = self.scope.find(use.path)
        written = f"${'.'.join(use.path)}"
        if found is None:
            self._unseen.tell(self, use.path, use.span, written)
            return unresolved(use.span)
        return self.brought(found, use.span, written)

    def brought(self, node: Node, span: Span, origin: str) -> Node:
        """A value that stands elsewhere, at the place where it is used."""
        if isinstance(node, ScalarNode):
            origin = UNRESOLVED if node.origin == UNRESOLVED else origin
            return ScalarNode(node.value, span, node.quoted, None, node.secret, origin)
        copy = self.scope.grow(node)
        if copy is None:
            self._too_large(span)
            return unresolved(span)
        return copy

    def _reference(self, reference: Reference) -> None:
        path = reference.name.split(".")
        if path[0] not in operators.OPERATORS and self.scope.find(path) is not None:
            advice = f"write `${reference.name}`"
        elif refusals.refuse_reference(reference.name, reference.span, self.problems):
            return
        else:
            advice = refusals.unknown_help(reference.name)
        self.error(codes.UNKNOWN_OPERATOR, reference.span, f"`@{reference.name}` is no operator", advice)

    # ---- expressions ------------------------------------------------------------------------------

    def choose(self, condition: Value, yes: Value, no: Value) -> Node:
        """The branch that the condition says; the other one is only looked through."""
        decided = self.truth(condition)
        if decided is None:
            self.look_through(yes)
            self.look_through(no)
            return unresolved(condition.span)
        self.look_through(no if decided else yes)
        return self.node(yes if decided else no)

    def look_through(self, value: Value) -> None:
        """Tell of the mistakes in a value that is not needed, as far as they do not depend on values."""
        self.untaken += 1
        self.node(value)
        self.untaken -= 1

    def truth(self, value: Value) -> bool | None:
        """Whether a condition holds; None if that cannot be decided, which is told."""
        node = self.operand(value)
        try:
            return None if node is None else calculate.truth(node)
        except Mismatch as error:
            self._mismatch(error, value.span)
            return None

    def operand(self, value: Value) -> Node | None:
        """The node of a value beside an operator; None if it has none, which is told already."""
        before = len(self.problems)
        if isinstance(value, ScalarNode) and not value.quoted and isinstance(value.value, str):
            self._bare_word(value)
            return None
        node = self.node(value)
        known = not isinstance(node, ScalarNode) or node.origin != UNRESOLVED
        return node if known and len(self.problems) == before and not self.untaken else None

    def _operation(self, operation: Operation) -> Node:
        sign, span = operation.operator, operation.span
        left, right = operation.left, operation.right
        if left is None:
            decided = self.truth(right)
            return unresolved(span) if decided is None else ScalarNode(not decided, span)
        if sign in ("&&", "||"):
            return self._logical(sign, left, right, span)
        one, other = self.operand(left), self.operand(right)
        if one is None or other is None:
            return unresolved(span)
        secret = is_secret(one) or is_secret(other)
        try:
            if sign != "+":
                return ScalarNode(calculate.compare(sign, one, other), span)
            total, quoted = calculate.add(one, other)
        except Mismatch as error:
            self._mismatch(error, operation.operator_span)
            return unresolved(span)
        if isinstance(total, str) and not self.may_write(total, span):
            return unresolved(span)
        return ScalarNode(total, span, quoted, None, secret, "calculated")

    def _logical(self, sign: str, left: Value, right: Value, span: Span) -> Node:
        if isinstance(left, Call) and left.name == "env" and len(left.arguments) == 1 and sign == "||":
            default = right.span.text if isinstance(right, ScalarNode) else "…"
            if not isinstance(right, ScalarNode) or not isinstance(right.value, bool):
                self.error(
                    codes.EXPRESSION,
                    span,
                    "`||` is for conditions, and gives true or false",
                    f"give the variable its default: `{left.span.text[:-1]}, {default})`",
                )
                return unresolved(span)
        first = self.truth(left)
        if first is None or first == (sign == "||"):
            self.look_through(right)
            return unresolved(span) if first is None else ScalarNode(first, span)
        second = self.truth(right)
        return unresolved(span) if second is None else ScalarNode(second, span)

    def _bare_word(self, word: ScalarNode) -> None:
        name = str(word.value)
        if self.scope.find(name.split(".")) is not None:
            advice = f'write `${name}` for the value, or `"{name}"` for the text'
        else:
            advice = f'write `"{name}"` for the text, or `${name}` for a variable'
        self.error(codes.EXPRESSION, word.span, f"`{name}` in an expression needs quotes or a `$`", advice)

    def _mismatch(self, error: Mismatch, span: Span) -> None:
        if not self.untaken:
            self.error(codes.EXPRESSION, span, error.message, error.advice)

    # ---- what operators need ----------------------------------------------------------------------

    def asked(self, name: str, span: Span, default: str | None, secret: bool) -> str | None:
        """The text of an environment variable; one without value and default is told of."""
        found = self.surroundings.environment.get(name)
        self.surroundings.asked.append(Variable(name, span, default, secret, found is not None))
        if found is None and default is None and not self.untaken:
            self.error(
                codes.MISSING_VARIABLE,
                span,
                f"the environment variable `{name}` is not set",
                f"`export {name}=…`, or give a default: `@env('{name}', \"…\")`",
                label="no value and no default",
            )
        return found

    def text(self, value: Value, what: str) -> str | None:
        """The text of an argument of the operator `what`; None if it is none, which is told."""
        node = self.operand(value)
        if isinstance(node, ScalarNode) and isinstance(node.value, str) and node.value:
            return node.value
        if node is not None and not self.untaken:
            message = f"`{what}` takes a text in quotes here, and this is {calculate.kind_of(node)}"
            self.bad_call(value.span, message, f"`{what}('…')`")
        return None

    def may_write(self, text: str, span: Span) -> bool:
        """Whether a text that was put together still fits into the file's bounds."""
        self.scope.written += len(text)
        if self.scope.written <= LONGEST_TEXT:
            return True
        self._too_large(span)
        return False

    @property
    def full(self) -> bool:
        """Whether so many problems are noted that no more will be."""
        return len(self.problems) >= self._limit

    def unseen(self, path: Sequence[str], span: Span, written: str) -> None:
        """Tell that nothing of a name can be seen."""
        self._unseen.tell(self, path, span, written)

    def _too_large(self, span: Span) -> None:
        if not self._told_large:
            self._told_large = True
            advice = "write what is needed once, and use it in fewer places"
            self.error(codes.TOO_LARGE, span, "variables make the document too large", advice)

    def bad_call(self, span: Span, message: str, form: str) -> None:
        """Tell of a call that cannot be read; `form` is how it is written."""
        self.error(codes.BAD_CALL, span, message, f"write {form}")

    def no_value(self, span: Span, message: str, advice: str) -> None:
        """Tell that an operator finds nothing, unless its branch is not taken."""
        if not self.untaken:
            self.error(codes.NO_VALUE, span, message, advice)

    def error(
        self,
        code: Code,
        span: Span,
        message: str,
        advice: str,
        label: str = "",
        related: Sequence[tuple[Span, str]] = (),
    ) -> None:
        """Note an error, unless there are too many already."""
        if not self.full:
            self.problems.error(code, span, message, help=advice, label=label, related=related)

    def warning(self, code: Code, span: Span, message: str, advice: str) -> None:
        """Note a warning, unless there are too many problems already."""
        if not self.full:
            self.problems.warning(code, span, message, help=advice)


def is_secret(node: Node) -> bool:
    """Whether a single value is masked where it is shown."""
    return isinstance(node, ScalarNode) and node.secret
