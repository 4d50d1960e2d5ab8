"""Reads foreign values as values of a type, and says in words what does not fit, personal data masked."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal, NamedTuple

from tusk_runtime.language.diagnostics import nearest
from tusk_runtime.types import values
from tusk_runtime.types.constraints import violation
from tusk_runtime.types.kinds import ABSENT, MAX_INTEGER, MIN_INTEGER, Field, Record, Type
from tusk_runtime.types.personal import MASK, holds_pii, shown

Extra = Literal["forbid", "ignore"]

MAX_JSON_DEPTH = 64
"""How deep a value of type json may nest."""

INVALID: Any = object()
"""What stands in place of a value that could not be read."""


class Issue(NamedTuple):
    """What does not fit: the path of the field (empty: the value itself), the message, what to write."""

    field: str
    message: str
    help: str = ""

    @property
    def text(self) -> str:
        """The message with its field in front."""
        return f"`{self.field}` {self.message}" if self.field else self.message


class Reader:
    """Reads values by their types and gathers all issues on the way."""

    def __init__(self, extra: Extra = "forbid") -> None:
        self.issues: list[Issue] = []
        self._extra = extra

    def read(self, type_: Type, value: Any, path: str = "") -> Any:
        """The run-time value, or INVALID with an issue noted."""
        if value is None:
            if type_.optional or type_.kind in ("null", "json"):
                return None
            return self._issue(path, "must not be null")
        result: Any
        match type_.kind:
            case "list":
                result = self._list(type_, value, path)
            case "map":
                result = self._map(type_, value, path)
            case "record" if type_.record is not None:
                return self.record(type_.record, value, path)
            case kind:
                try:
                    result = _READERS[kind](type_, value)
                except ValueError as error:
                    return self._issue(path, *error.args)
        if result is INVALID:
            return INVALID
        problem = violation(type_, result)
        return self._issue(path, problem) if problem else result

    def record(self, record: Record, value: Any, path: str = "") -> Any:
        """A dict with every field of the record, or INVALID with issues noted."""
        if not isinstance(value, Mapping):
            found = _kind(Type("record", record=record), value)
            return self._issue(path, f"must be an object with the fields of {record.name}, not {found}")
        before = len(self.issues)
        front = f"{path}." if path else ""
        result: dict[str, Any] = {}
        for name, field in record.fields.items():
            given = value.get(name, ABSENT)
            if given is ABSENT or (given is None and field.type.optional):
                result[name] = self._absent(field, front + name)
            else:
                result[name] = self.read(field.type, given, front + name)
        if self._extra == "forbid":
            self._unknown(record, value, front)
        return result if len(self.issues) == before else INVALID

    def _absent(self, field: Field, path: str) -> Any:
        if field.default is not ABSENT:
            return fresh(field.default)
        if field.type.optional:
            return None
        return self._issue(path, "is required")

    def _unknown(self, record: Record, value: Mapping[Any, Any], front: str) -> None:
        for name in value:
            if name in record.fields:
                continue
            guess = nearest(str(name)[:100], record.fields)
            known = ", ".join(list(record.fields)[:12])
            hint = f"did you mean `{guess}`?" if guess else (f"known fields: {known}" if known else "")
            self._issue(f"{front}{name!s:.100}", f"is not a field of {record.name}", hint)

    def _list(self, type_: Type, value: Any, path: str) -> Any:
        if not isinstance(value, list | tuple):
            return self._issue(path, f"must be a list, not {_kind(type_, value)}")
        item = type_.entry
        result = [self.read(item, member, f"{path}[{i}]") for i, member in enumerate(value)]
        return INVALID if any(member is INVALID for member in result) else result

    def _map(self, type_: Type, value: Any, path: str) -> Any:
        if not isinstance(value, Mapping):
            return self._issue(path, f"must be an object, not {_kind(type_, value)}")
        item = type_.entry
        front = f"{path}." if path else ""
        result = {}
        for key, member in value.items():
            if not isinstance(key, str):
                return self._issue(path, "must have texts as keys")
            result[key] = self.read(item, member, front + (MASK if type_.pii else key[:100]))
        return INVALID if any(member is INVALID for member in result.values()) else result

    def _issue(self, path: str, message: str, help: str = "") -> Any:  # noqa: A002 - the field's name
        self.issues.append(Issue(path, message, help))
        return INVALID


def read_value(type_: Type, value: Any) -> Any:
    """The run-time value of a type from JSON or text. Raises ValueError with all that does not fit."""
    reader = Reader()
    result = reader.read(type_, value)
    if reader.issues:
        raise ValueError("; ".join(issue.text for issue in reader.issues[:5]))
    return result


def fresh(default: Any) -> Any:
    """A default as a value of its own, so that nobody changes the one in the type."""
    if isinstance(default, list):
        return [fresh(member) for member in default]
    if isinstance(default, dict):
        return {key: fresh(member) for key, member in default.items()}
    return default


def plain_json(value: Any, depth: int = 0) -> Any:
    """A JSON value, checked; decimals become floats. Raises ValueError for anything that JSON has not."""
    if value is None or value is True or value is False:
        return value
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, int):
        # Unsigned 64-bit numbers pass through JSON too, but no column and no integer could hold them.
        if MIN_INTEGER <= value <= MAX_INTEGER:
            return value
        raise ValueError("holds an integer of more than 64 bits")
    if isinstance(value, float | Decimal):
        if not math.isfinite(value):
            raise ValueError("holds a number that is not finite")
        return float(value)
    if depth >= MAX_JSON_DEPTH:
        raise ValueError(f"nests deeper than {MAX_JSON_DEPTH} levels")
    if isinstance(value, list | tuple):
        return [plain_json(member, depth + 1) for member in value]
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            raise ValueError("holds a key that is not a text")
        return {_text(key): plain_json(member, depth + 1) for key, member in value.items()}
    return _scalar_as_json(value)


def _scalar_as_json(value: Any) -> str:
    if isinstance(value, datetime):
        return values.format_datetime(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, timedelta):
        return values.format_duration(value)
    if isinstance(value, bytes):
        return values.format_bytes(value)
    raise ValueError(f"holds a {type(value).__name__}, which JSON has not")


def _text(value: str) -> str:
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise ValueError("holds half of a surrogate pair, which is no text") from None
    return value


def read_string(type_: Type, value: Any) -> str:
    """A text. A number given for a text is refused: its spelling is already lost."""
    if not isinstance(value, str):
        raise ValueError(f"must be a text, not {_kind(type_, value)}")
    if "\0" in value:
        raise ValueError("holds the character U+0000, which not every database keeps in a text")
    return _text(value)


def read_email(type_: Type, value: Any) -> str:
    """A text that looks like an e-mail address, spaces around it removed."""
    return read_string(type_, value).strip()


def read_uuid(type_: Type, value: Any) -> str:
    """A UUID as lower-case text with hyphens."""
    if type(value).__name__ == "UUID":
        return str(value)
    text = read_string(type_, value)
    try:
        return values.parse_uuid(text)
    except ValueError:
        raise ValueError(f"must be a UUID, not {shown(type_, text, 40)}") from None


def read_enum(type_: Type, value: Any) -> str:
    """One of the enum's values."""
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else read_string(type_, value)
    if text not in type_.values:
        guess = nearest(text[:100], type_.values)
        known = ", ".join(type_.values[:12])
        raise ValueError(
            f"must be one of {known}, not {shown(type_, text, 40)}",
            f"did you mean `{guess}`?" if guess and not type_.pii else "",
        )
    return text


def read_integer(type_: Type, value: Any) -> int:
    """A whole number of 64 bits; texts and decimals that are exactly one are converted, floats are not."""
    if isinstance(value, int) and not isinstance(value, bool):
        number = int(value)
    elif isinstance(value, str):
        text = value.strip()
        if not re.fullmatch(r"[+-]?[0-9]{1,40}", text):
            raise ValueError(f"must be an integer, not {shown(type_, value, 40)}")
        number = int(text)
    elif isinstance(value, float | Decimal):
        # Beyond 2**53 a float has no doubtless neighbours, so that it may have been another integer.
        if not math.isfinite(value) or not -(2**53) <= value <= 2**53 or value != int(value):
            raise ValueError(f"must be an integer, not {shown(type_, value, 40)}")
        number = int(value)
    else:
        raise ValueError(f"must be an integer, not {_kind(type_, value)}")
    if not MIN_INTEGER <= number <= MAX_INTEGER:
        raise ValueError("must fit into 64 bits")
    return number


def read_number(type_: Type, value: Any) -> float:
    """A double that is finite."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal | str):
        raise ValueError(f"must be a number, not {_kind(type_, value)}")
    if isinstance(value, str) and not values.looks_decimal(value):
        raise ValueError(f"must be a number, not {shown(type_, value, 40)}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ValueError("must be a finite number")
    return number


def read_decimal(type_: Type, value: Any) -> Decimal:
    """A decimal of 38 digits from text or a number, with the places of its type."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal | str):
        raise ValueError(f"must be a decimal number, not {_kind(type_, value)}")
    number: Decimal
    if isinstance(value, str):
        number = _decimal(type_, value)
    elif isinstance(value, float):
        number = values.decimal_of_float(value)
    else:
        number = values.check_decimal(Decimal(value))
    return number if type_.places is None else values.with_places(number, type_.places)


def _decimal(type_: Type, text: str) -> Decimal:
    try:
        return values.parse_decimal(text)
    except ValueError as error:
        if error.args[0].startswith("not"):
            raise ValueError(f"must be a decimal number, not {shown(type_, text, 40)}") from None
        raise


def read_boolean(type_: Type, value: Any) -> bool:
    """True or false, also as text."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.strip().lower() in ("true", "false"):
        return value.strip().lower() == "true"
    raise ValueError(f"must be true or false, not {shown(type_, value, 40)}")


def read_datetime(type_: Type, value: Any) -> datetime:
    """A moment in UTC."""
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError("must have an offset from UTC")
        value = values.format_datetime(value)
    moment: datetime = _from_text(type_, values.parse_datetime, value, "datetime")
    return moment


def read_date(type_: Type, value: Any) -> date:
    """A date."""
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    day: date = _from_text(type_, values.parse_date, value, "date")
    return day


def read_duration(type_: Type, value: Any) -> timedelta:
    """A duration."""
    if isinstance(value, timedelta):
        return value
    duration: timedelta = _from_text(type_, values.parse_duration, value, "duration such as `90s`")
    return duration


def read_bytes(type_: Type, value: Any) -> bytes:
    """Bytes from base64."""
    return value if isinstance(value, bytes) else _from_text(type_, values.parse_bytes, value, "base64 text")


def read_null(type_: Type, value: Any) -> None:
    """Nothing but null, which was looked for before."""
    raise ValueError(f"must be null, not {shown(type_, value, 40)}")


def _from_text(type_: Type, parse: Callable[[str], Any], value: Any, what: str) -> Any:
    if not isinstance(value, str):
        raise ValueError(f"must be a {what}, not {_kind(type_, value)}")
    try:
        return parse(value)
    except ValueError as error:
        # What only says that it is none says it better than we do.
        reason = str(error)
        if reason.startswith("not "):
            raise ValueError(f"must be {reason[4:]}, not {shown(type_, value, 40)}") from None
        raise ValueError(f"must be a {what}, not {shown(type_, value, 40)}: {reason}") from None


_READERS: Mapping[str, Callable[[Type, Any], Any]] = {
    "string": read_string,
    "email": read_email,
    "url": read_email,
    "uuid": read_uuid,
    "enum": read_enum,
    "integer": read_integer,
    "number": read_number,
    "decimal": read_decimal,
    "boolean": read_boolean,
    "datetime": read_datetime,
    "date": read_date,
    "duration": read_duration,
    "bytes": read_bytes,
    "json": lambda type_, value: plain_json(value),
    "null": read_null,
}


def _kind(type_: Type, value: Any) -> str:
    """What a foreign value for a type is, in JSON's words."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, str):
        return "a text" if holds_pii(type_) else f"the text {values.show(value, 40)}"
    if isinstance(value, int | float | Decimal):
        return "a number" if holds_pii(type_) else f"the number {values.show(value, 40)}"
    if isinstance(value, list | tuple):
        return "a list"
    if isinstance(value, Mapping):
        return "an object"
    return f"a {type(value).__name__}"
