"""The problems that an expression can have at load."""

from __future__ import annotations

from tusk_runtime.language.diagnostics import define

SYNTAX = define(
    "TSK400",
    "expression not understood",
    "What stands between `{{` and `}}` is not an expression of the language: Jinja2's "
    "expression syntax with `??`, `?.` and comprehensions, without methods, `is` tests, `~` and `**`.",
)
BRACES = define(
    "TSK401",
    "braces that do not match",
    "An expression begins with `{{` and ends with `}}`. To write two braces as text, put them into "
    "a text inside an expression: `{{ '{{' }}`.",
)
TEMPLATE = define(
    "TSK402",
    "template syntax in a value",
    "`{% … %}` and `{# … #}` belong to Jinja2 templates, which only an e-mail's `text` and `html` "
    "are. In an expression write `x if condition else y` and `[f(x) for x in list]`.",
)
UNKNOWN_NAME = define(
    "TSK403",
    "unknown name",
    "Each place has its own names: `command`, `state` and `aggregate` in commands, `event` and `data`"
    " in handlers, `row` "
    "in projections and queries, `now` and `meta` everywhere.",
)
UNKNOWN_FIELD = define(
    "TSK404",
    "unknown field",
    "A record has exactly the fields that are declared for it. Field names are case sensitive.",
)
UNKNOWN_FUNCTION = define(
    "TSK405",
    "unknown function",
    "A function or filter that the language does not have. Functions that Jinja2 spells otherwise are"
    " named in the help.",
)
ARGUMENTS = define("TSK406", "wrong arguments", "A function is called with too few or too many arguments.")
TYPE = define(
    "TSK407",
    "types that do not go together",
    "An operator or a function met a type that it has no meaning for: text plus number, a list "
    "compared with a date. "
    "Convert with a function such as `string(x)` or `integer(x)`.",
)
FLOATS = define(
    "TSK408",
    "decimal with number",
    "A decimal is exact, a number is a binary fraction; mixing them would lose exactness in silence. "
    "Convert one of them "
    "with `decimal(x)` or `number(x)`.",
)
NULLABLE = define(
    "TSK409",
    "value that may be null",
    "An optional value must be settled before it is calculated with: `x ?? 0`, `x?.field`, `x != null"
    " and …`, or "
    "`… if x != null else …`.",
)
LITERAL = define(
    "TSK410",
    "literal that does not fit",
    "A literal takes the type that it meets: a text beside an enum must be one of its values, beside "
    "a date a date, "
    "beside a duration a duration such as `7d`.",
)
CONDITION = define(
    "TSK411",
    "condition that is not one",
    "A condition is exactly one `{{ … }}` whose value is true or false. There is no truthiness: "
    "write `x != null`, `length(list) > 0`, `text != ''`.",
)
RESULT = define(
    "TSK412",
    "value of the wrong type",
    "What an expression or a literal gives does not fit the field that it is written to.",
)
FIELDS = define(
    "TSK413",
    "fields that do not fit",
    "A map written where a record is expected must name every required field and no unknown one.",
)
JINJA = define(
    "TSK414",
    "Jinja2 feature with another spelling",
    "The expression syntax is Jinja2's, but some things are written otherwise here; the help says how.",
)
SHADOWED = define(
    "TSK415",
    "name already taken",
    "The name of a loop must differ from every name that is visible there, and from the words of the "
    "language.",
)
AMBIGUOUS = define(
    "TSK416",
    "`??` beside arithmetic",
    "`a ?? 0 + b` could be read in two ways. Write `(a ?? 0) + b` or `a ?? (0 + b)`.",
)
PATTERN = define(
    "TSK417", "bad pattern or format", "A regular expression, time format, unit or time zone that is none."
)
PERSONAL = define(
    "TSK418",
    "personal data where it is not marked",
    "What is marked `pii`, and what is made of it, goes only into fields and columns that are marked "
    "`pii`, too. A comparison, `length(x)` and `mask(x)` give nothing personal.",
)
BAD_TEMPLATE = define(
    "TSK419",
    "template not understood",
    "The `text` and the `html` of an e-mail are templates of Jinja2, with `if`, `for` and `set`, its filters "
    "and tests. They call no methods, make no macros, and include nothing.",
)
NOT_YET = define(
    "TSK449",
    "not available yet",
    "`lookup` and `query` read a projection from an expression. This version of the runtime does not "
    "have them yet.",
)

TOO_LONG = define("TSK450", "expression too long", "An expression has at most 4,096 characters.")
TOO_DEEP = define(
    "TSK451", "expression too deep", "Expressions, and lists and maps around them, nest at most 32 levels."
)
TOO_LARGE = define(
    "TSK452", "expression too large", "An expression has at most 500 operators, names, literals and calls."
)
NUMBER_SIZE = define(
    "TSK453", "number out of range", "An integer has 64 bits, a decimal 38 digits, a number is finite."
)

NO_VALUE = define(
    "TSK460",
    "an expression without a value",
    "The expression is right, and has no value for these inputs: a key is missing, a divisor is zero, a text "
    "is no number. `tusk eval` tells it with this code; a running application refuses the command with 422, "
    "or stops the projection, with the same place and values.",
)
