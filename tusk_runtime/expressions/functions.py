"""All functions of the language. Each is a filter, too: `x | f(y)` is `f(x, y)`."""

# ruff: noqa: E501 - a table has a row per function

from __future__ import annotations

from tusk_runtime.expressions.builders import conversions as build_conversions
from tusk_runtime.expressions.builders import lists as build_lists
from tusk_runtime.expressions.builders import maps as build_maps
from tusk_runtime.expressions.builders import others as build_others
from tusk_runtime.expressions.builders import times as build_times
from tusk_runtime.expressions.library import lists, numbers, texts, times
from tusk_runtime.expressions.registry import FUNCTIONS, Function

# fmt: off
_TABLE = (
    # convert
    Function("string(x: any) -> string", "the text of a single value", build=build_conversions.string),
    Function("integer(x: numeric|text|json) -> integer", "an integer, if it is exactly one", build=build_conversions.conversion),
    Function("decimal(x: numeric|text|json) -> decimal", "an exact decimal", build=build_conversions.conversion),
    Function("number(x: numeric|text|json) -> number", "a double", build=build_conversions.conversion),
    Function("boolean(x: boolean|text|json) -> boolean", "true or false, also from their texts", build=build_conversions.conversion),
    Function("date(x: moment|text|json, zone: text = 'UTC') -> date", "a date; of a datetime the one in the time zone", build=build_conversions.conversion),
    Function("datetime(x: moment|text|json, zone: text = 'UTC') -> datetime", "a moment; of a date its midnight", build=build_conversions.conversion),
    Function("duration(x: duration|text|json) -> duration", "a duration, as in '90s', '7d' or 'PT1H'", build=build_conversions.conversion),
    Function("default(x: T?, y: T) -> T", "the same as x ?? y", build=build_conversions.default, carries="parts"),
    Function("to_json(x: any?) -> string", "the JSON text of a value", texts.to_json, budget=True),
    # lists
    Function("length(x: list|map|text|json) -> integer", "how many entries or characters", lists.length, carries="nothing"),
    Function("sum(list: list<N>) -> N", "the sum, 0 of none", build=build_lists.total),
    Function("avg(list: list<N>) -> N?", "the mean, of integers a decimal; null of none", build=build_lists.average),
    Function("min(list: list<T>) -> T?; min(a: T, b: T, …) -> T", "the smallest; null of none", build=build_lists.extreme),
    Function("max(list: list<T>) -> T?; max(a: T, b: T, …) -> T", "the largest; null of none", build=build_lists.extreme),
    Function("any(list: list<boolean>) -> boolean", "whether one is true", build=build_lists.quantifier, carries="nothing"),
    Function("all(list: list<boolean>) -> boolean", "whether none is false", build=build_lists.quantifier, carries="nothing"),
    Function("first(list: list<T>) -> T?", "the first, null of none", build=build_lists.first, carries="parts"),
    Function("last(list: list<T>) -> T?", "the last, null of none", lists.last, carries="parts"),
    Function("sort(list: list<T>, field: text = none, descending: boolean = false) -> list<T>", "sorted by a field, or by the entries", build=build_lists.sort, carries="parts"),
    Function("unique(list: list<T>) -> list<T>", "each entry once", lists.unique, budget=True, carries="parts"),
    Function("join(list: list<T>, sep: text = '') -> string", "all entries as one text", build=build_lists.join),
    Function("range(a: integer, b: integer) -> list<integer>", "the integers from a, b excluded", lists.integers, budget=True),
    # maps, records
    Function("keys(m: map|json) -> list<string>", "the keys", build=build_maps.entries, carries="parts"),
    Function("values(m: map|json) -> list<T>", "the values", build=build_maps.entries, carries="parts"),
    Function("items(m: map|json) -> list<T>", "each entry as {key, value}", build=build_maps.entries, carries="parts"),
    Function("combine(a: map, b: map) -> map", "both together, b wins", build=build_maps.combine, carries="parts"),
    Function("omit(a: map, key: text, …) -> map", "without these keys", build=build_maps.omit, carries="parts"),
    # text
    Function("lower(s: text) -> string", "in lower case", texts.lower, budget=True),
    Function("upper(s: text) -> string", "in upper case", texts.upper, budget=True),
    Function("trim(s: text) -> string", "without white space around", texts.trim, budget=True),
    Function("replace(s: text, a: text, b: text) -> string", "every a replaced by b", texts.replace, budget=True),
    Function("split(s: text, sep: text) -> list<string>", "the parts between separators", texts.split, budget=True),
    Function("startswith(s: text, t: text) -> boolean", "whether s begins with t", texts.startswith, carries="nothing"),
    Function("endswith(s: text, t: text) -> boolean", "whether s ends with t", texts.endswith, carries="nothing"),
    Function("matches(s: text, pattern: text) -> boolean", "whether the whole text matches an RE2 pattern", build=build_others.matches, carries="nothing"),
    Function("truncate(s: text, n: integer) -> string", "at most n characters, … in place of the rest", texts.truncate, budget=True),
    Function("mask(s: text) -> string", "its first character and ***", texts.mask, carries="nothing"),
    Function("urlencode(s: text) -> string", "as a part of a URL", texts.urlencode, budget=True),
    # numbers
    Function("abs(n: N) -> N", "without its sign", build=build_others.absolute),
    Function("round(n: N, places: integer = none, mode: text = 'half_up') -> N", "an integer, or the same type with places; modes half_up half_even down up", build=build_others.rounded),
    Function("floor(n: numeric) -> integer; floor(t: datetime, step: duration, zone: text = 'UTC') -> datetime", "the integer below; the moment a step such as '15m' begins at", build=build_times.floor),
    Function("ceil(n: numeric) -> integer", "the integer above", numbers.ceil),
    # time
    Function("day(t: moment, zone: text = 'UTC') -> date", "its date", times.day, build=build_times.zoned),
    Function("week(t: moment, zone: text = 'UTC') -> date", "the Monday of its week", times.week, build=build_times.zoned),
    Function("month(t: moment, zone: text = 'UTC') -> date", "the first day of its month", times.month, build=build_times.zoned),
    Function("quarter(t: moment, zone: text = 'UTC') -> date", "the first day of its quarter", times.quarter, build=build_times.zoned),
    Function("year(t: moment, zone: text = 'UTC') -> date", "the first day of its year", times.year, build=build_times.zoned),
    Function("hour(t: datetime, zone: text = 'UTC') -> datetime", "the moment its hour begins at", times.hour, build=build_times.zoned),
    Function("minute(t: datetime, zone: text = 'UTC') -> datetime", "the moment its minute begins at", times.minute, build=build_times.zoned),
    Function("part(t: moment, unit: text, zone: text = 'UTC') -> integer", "year quarter month week day weekday day_of_year hour minute second", build=build_times.part),
    Function("format(t: moment, pattern: text, zone: text = 'UTC') -> string", "as in '%d.%m.%Y'", build=build_times.format_time),
    Function("days(d: duration) -> integer", "whole days, the rest cut", times.days),
    Function("hours(d: duration) -> integer", "whole hours, the rest cut", times.hours),
    Function("minutes(d: duration) -> integer", "whole minutes, the rest cut", times.minutes),
    Function("seconds(d: duration) -> decimal", "the seconds", times.seconds),
    Function("add_months(t: M, n: integer, zone: text = 'UTC') -> M", "the same day n months later", times.add_months, build=build_times.zoned),
    Function("dates(from: moment, until: moment, zone: text = 'UTC') -> list<date>", "every date, the last excluded", times.dates, budget=True, build=build_times.zoned),
    # identity
    Function("uuid(part: any = none, …) -> uuid", "an id out of the command's or event's and the parts", build=build_others.uuid, carries="nothing"),
)
# fmt: on

FUNCTIONS.update({function.name: function for function in _TABLE})
