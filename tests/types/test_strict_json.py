"""Strict JSON: one meaning or a reason; against a slow reader that sees every key and every digit."""

from __future__ import annotations

import json
import math
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tusk_runtime.types import MAX_INTEGER, MIN_INTEGER
from tusk_runtime.types.strict_json import BadJson, nests_deeper, read_json

REFUSED = object()

REASONS = {
    b"": "is empty",
    b" \n": "is empty",
    b"\xff": "is no UTF-8: the byte 0xff at position 0",
    b'{"a": "\xe9"}': "is no UTF-8: the byte 0xe9 at position 7",
    b'"\xed\xa0\x80"': "is no UTF-8",
    '{"a": 1}'.encode("utf-16"): "is no UTF-8",
    b"{": "is no JSON: unexpected end of data at line 1, column 2",
    b"{'a': 1}": "is no JSON",
    b'{"a": 1} {"a": 2}': "unexpected content after document at line 1, column 10",
    b'{"a": 01}': "is no JSON",
    b'{"a": 1,}': "is no JSON",
    b'"a\tb"': "is no JSON",
    b'{"a": NaN}': "holds NaN, which JSON has not",
    b"[-Infinity]": "holds Infinity, which JSON has not",
    b'{"a": 1e400}': "holds a number that is too large, at line 1, column 7",
    b'{"a": 9223372036854775808}': "holds an integer of more than 64 bits",
    b'{"a":18446744073709551615}': "holds an integer of more than 64 bits",
    b'{"a":18446744073709551616}': "holds an integer of more than 64 bits",
    b"[-9223372036854775809]": "holds an integer of more than 64 bits",
    b"1" * 5000: "holds an integer of more than 64 bits",
    rb'{"a": "\ud800"}': "holds half of a surrogate pair, which is no text, at line 1, column 8",
    rb'{"\udc00": 1}': "holds half of a surrogate pair",
    b'{"a":1,"a":1}': "holds the key 'a' twice in one object",
    b'{"a":{"b":[{"c":1,"d":2,"c":3}]}}': "holds the key 'c' twice in one object",
    rb'{"a":1,"\u0061":2}': "holds the key 'a' twice in one object",
    rb'{"a:":1,"a\u003A":2}': "holds the key 'a:' twice in one object",
    rb'{"a":"::","a":"\u003a\u003a\u003a"}': "holds the key 'a' twice in one object",
    b"[" * 10_000: "nests deeper than 64 levels",
    b'{"a":' * 10_000 + b"1" + b"}" * 10_000: "nests deeper than 64 levels",
    b"[" * 65 + b"]" * 65: "nests deeper than 64 levels",
    b'"' + b"a" * 2000 + b'"': "is 2002 bytes long; 2000 are taken",
    b"\xef\xbb\xbf\xef\xbb\xbf{}": "is no JSON",
}  # fmt: skip


@pytest.mark.parametrize("text", REASONS, ids=lambda text: str(text[:24]))
def test_what_is_not_one_value_has_a_reason(text: bytes) -> None:
    """Of its own, short, and with hardly anything of the text in it."""
    most = 2000 if text.startswith(b'"aaa') else 1_000_000
    with pytest.raises(BadJson) as caught:
        read_json(text, most)
    assert REASONS[text] in str(caught.value)
    assert len(str(caught.value)) < 160


def test_a_long_key_is_cut() -> None:
    """A reason tells which key, and not all of it."""
    key = b"k" * 5000
    with pytest.raises(BadJson) as caught:
        read_json(b'{"%s":1,"%s":2}' % (key, key))
    assert len(str(caught.value)) < 100


GOOD = {
    b"\xef\xbb\xbf[1]": [1],
    b"[9223372036854775807, -9223372036854775808]": [MAX_INTEGER, MIN_INTEGER],
    b'["18446744073709551616", 0.12345678901234567890123, 1234567890123456789012e-20]': [
        "18446744073709551616", 0.12345678901234567890123, 12.34567890123456789012,
    ],
    rb'{"a\u003a": "b\u003Ac", "\\u003a": ":"}': {"a:": "b:c", "\\u003a": ":"},
    b'{"a":{"a":{"a":[{"a":1},{"a":1}]}}}': {"a": {"a": {"a": [{"a": 1}, {"a": 1}]}}},
    b'{"NaN": "Infinity"}': {"NaN": "Infinity"},
    b"[" * 64 + b"]" * 64: orjson.loads(b"[" * 64 + b"]" * 64),
    b'"[[[[' + b"[" * 100 + b'"': "[[[[" + "[" * 100,
    b"null": None,
}  # fmt: skip


@pytest.mark.parametrize("text", GOOD, ids=lambda text: str(text[:24]))
def test_what_only_looks_wrong_is_read(text: bytes) -> None:
    """Long numbers in texts, colons in texts, a byte order mark, brackets in texts."""
    assert read_json(text) == GOOD[text]


def slowly(text: bytes) -> Any:
    """The value by Python's own reader, which sees all keys and all digits; or REFUSED."""

    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) < len(pairs):
            raise ValueError
        return dict(pairs)

    def integer(digits: str) -> int:
        if len(digits) > 20 or not MIN_INTEGER <= int(digits) <= MAX_INTEGER:
            raise ValueError
        return int(digits)

    def number(digits: str) -> float:
        if not math.isfinite(float(digits)):
            raise ValueError
        return float(digits)

    def constant(name: str) -> None:
        raise ValueError

    try:
        found = json.loads(
            text.decode().removeprefix("\ufeff"),
            object_pairs_hook=members,
            parse_int=integer,
            parse_float=number,
            parse_constant=constant,
        )
        json.dumps(found, ensure_ascii=False).encode()  # no halves of surrogate pairs
    except (ValueError, RecursionError):
        return REFUSED
    return found if depth(found) <= 64 else REFUSED


def depth(value: Any) -> int:
    """How deep a value nests."""
    members = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if members is None else 1 + max(map(depth, members), default=0)


def check(text: bytes) -> None:
    """That both readers say the same."""
    expected = slowly(text)
    try:
        found = read_json(text)
    except BadJson:
        found = REFUSED
    assert (found is REFUSED) == (expected is REFUSED), text
    if found is not REFUSED:
        assert repr(found) == repr(expected)


texts = st.text(st.sampled_from('ab:"\\{}[],0 é\u2028😀'), max_size=4)
integers = st.integers() | st.integers(2**62, 2**66) | st.integers(10**17, 10**19)
numbers = integers | st.floats(allow_nan=False, allow_infinity=False)
KEYS = ["a", "a:", "b", ":", "aa"]


class Pairs(list[tuple[str, Any]]):
    """An object of JSON as it is written, with doubled keys."""


values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(st.tuples(st.sampled_from(KEYS) | texts, inner), max_size=4).map(Pairs)
    ),
    max_leaves=12,
)


@st.composite
def written(draw: st.DrawFn) -> bytes:
    """JSON in one of its many spellings, with doubled keys and long numbers."""
    blank = st.sampled_from(["", "", " ", "\n\t"])
    escaped = st.sampled_from([False, True])

    def text(value: str) -> str:
        plain = json.dumps(value, ensure_ascii=draw(escaped))
        if draw(escaped):
            plain = plain.replace(":", draw(st.sampled_from(["\\u003a", "\\u003A"])), 1)
        return plain.replace("a", "\\u0061") if draw(escaped) else plain

    def whole(value: Any) -> str:
        front = draw(blank)
        if isinstance(value, Pairs):
            inner = ",".join(f"{text(key)}{draw(blank)}:{whole(member)}" for key, member in value)
            return f"{front}{{{inner}{draw(blank)}}}"
        if isinstance(value, list):
            return f"{front}[{','.join(map(whole, value))}]"
        return front + (text(value) if isinstance(value, str) else json.dumps(value)) + draw(blank)

    return whole(draw(values)).encode()


@settings(max_examples=500, deadline=None)
@given(written())
def test_both_readers_agree_on_json(text: bytes) -> None:
    """Doubled keys at any depth and in any spelling, colons anywhere, numbers at the edge."""
    check(text)


@settings(max_examples=300, deadline=None)
@given(written(), st.data())
def test_both_readers_agree_on_what_is_nearly_json(text: bytes, data: st.DataObject) -> None:
    """One byte more, less, or another."""
    at = data.draw(st.integers(0, len(text)))
    new = data.draw(
        st.sampled_from([b"", b'"', b"\\", b"{", b"[", b"]", b":", b",", b"0", b"-", b"\xc3", b"e"])
    )
    check(text[:at] + new + text[at + data.draw(st.integers(0, 1)) :])


@pytest.mark.parametrize("pair", [(b"[", b"]"), (b"[[],", b"]"), (b'{"a":', b"}"), (b"[[[]],", b",[]]")])
def test_the_deepest_that_is_taken(pair: tuple[bytes, bytes]) -> None:
    """One level more is too deep, however many stand side by side."""
    for levels in range(1, 12):
        text = pair[0] * levels + b"0" + pair[1] * levels
        found = depth(orjson.loads(text))
        assert not nests_deeper(text, found)
        assert nests_deeper(text, found - 1)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(["[", "]", '{"a":', "}", '"[', '"', "\\"]), max_size=200), st.integers(1, 20))
def test_depth_is_that_of_the_value(parts: list[str], limit: int) -> None:
    """What is JSON is as deep as it is; brackets in texts do not count."""
    text = "".join(parts).encode()
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        nests_deeper(text, limit)
    else:
        assert nests_deeper(text, limit) == (depth(found) > limit)
