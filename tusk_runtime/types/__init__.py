"""Types: what a type text means, how foreign data is validated, and how values are stored."""

from tusk_runtime.types.codecs import decoder, encode_default, from_column, to_column, to_json
from tusk_runtime.types.constraints import conformer
from tusk_runtime.types.hints import how_to_write
from tusk_runtime.types.kinds import (
    ABSENT,
    BOOLEAN,
    DATE,
    DATETIME,
    DECIMAL,
    DURATION,
    INTEGER,
    JSON,
    MAX_DIGITS,
    MAX_INTEGER,
    MIN_INTEGER,
    NULL,
    NUMBER,
    NUMERIC,
    STRING,
    TEXTS,
    UNKNOWN,
    UUID,
    Field,
    Name,
    Plain,
    Record,
    Type,
    record_of,
)
from tusk_runtime.types.personal import (
    MASK,
    erasable,
    exposed,
    holds_pii,
    lasting,
    marked_as,
    masker,
    personal,
    shown,
)
from tusk_runtime.types.reading import read_value
from tusk_runtime.types.relations import assignable
from tusk_runtime.types.schema import json_schema, record_schema
from tusk_runtime.types.text import TypeText, parse_type
from tusk_runtime.types.validate import Validator

__all__ = [
    "ABSENT", "BOOLEAN", "DATE", "DATETIME", "DECIMAL", "DURATION", "INTEGER", "JSON", "MASK", "MAX_DIGITS",
    "MAX_INTEGER", "MIN_INTEGER", "NULL", "NUMBER", "NUMERIC", "STRING", "TEXTS", "UNKNOWN", "UUID", "Field",
    "Name", "Plain", "Record", "Type", "TypeText", "Validator", "assignable", "conformer", "decoder",
    "encode_default", "erasable", "exposed", "from_column", "holds_pii", "how_to_write", "json_schema",
    "lasting", "marked_as", "masker", "parse_type", "personal", "read_value", "record_of", "record_schema",
    "shown", "to_column", "to_json",
]  # fmt: skip
