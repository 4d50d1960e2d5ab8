"""What a dead letter keeps of a message comes back as it was, or says how large it was."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tusk_runtime.following.messages import KEPT, Message, copied, pack, unpack

MESSAGE = Message("orders", 3, 12, b"a", b"{}", 1_700_000_000_000, (("id", b"1"), ("id", b"\xff")))
MESSAGES = st.builds(
    Message,
    topic=st.from_regex(r"[A-Za-z0-9._-]{1,249}", fullmatch=True),
    partition=st.integers(0, 2**31 - 1),
    offset=st.integers(0, 2**63 - 1),
    key=st.none() | st.binary(),
    value=st.none() | st.binary(),
    timestamp=st.integers(-(2**63), 2**63 - 1),
    headers=st.lists(st.tuples(st.text(), st.binary())).map(tuple),
)


@given(MESSAGES)
def test_it_comes_back(message: Message) -> None:
    packed = pack(message)
    assert unpack(message.source, message.offset, packed) == message
    found = copied(message.source, message.offset, packed)
    assert (found.size, found.whole) == (len(message.value or b""), True)


@pytest.mark.parametrize("value", [None, b"", b"\n", b"\n\n{", bytes(range(256))])
def test_any_value_comes_back(value: bytes | None) -> None:
    message = MESSAGE._replace(value=value)
    assert unpack("orders/3", 12, pack(message)) == message


def test_one_that_just_fits() -> None:
    """Its key and its headers count, too."""
    size = KEPT - len(b"a" + b"id" + b"1" + b"id" + b"\xff")
    assert unpack("orders/3", 12, pack(MESSAGE._replace(value=b"x" * size))) is not None
    assert unpack("orders/3", 12, pack(MESSAGE._replace(value=b"x" * (size + 1)))) is None


def test_of_one_that_is_too_large_only_its_size_is_kept() -> None:
    large = MESSAGE._replace(value=b"x" * 5_000_000)
    packed = pack(large)
    assert len(packed) < 300
    assert unpack("orders/3", 12, packed) is None
    found = copied("orders/3", 12, packed)
    assert (found.size, found.whole, found.message) == (5_000_000, False, MESSAGE._replace(value=None))


@pytest.mark.parametrize("name", ["key", "headers"])
def test_a_key_or_headers_that_are_too_large_are_not_kept(name: str) -> None:
    large: object = b"x" * (KEPT + 1) if name == "key" else (("x" * KEPT, b"yy"),)
    packed = pack(MESSAGE._replace(**{name: large}))
    assert len(packed) < 300
    assert unpack("orders/3", 12, packed) is None
    found = copied("orders/3", 12, packed)
    assert found.message == MESSAGE._replace(key=None, value=None, headers=())
    assert found.size == 2
