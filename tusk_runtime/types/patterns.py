"""Regular expressions in RE2 syntax, matched in time linear to the text."""

from __future__ import annotations

import re
from functools import lru_cache

MAX_PATTERN = 1000
"""The longest pattern, in characters."""

MAX_STATES = 1000
"""How large a pattern is, counted repetitions written out. Matching costs text times pattern at worst."""

MAX_WEIGHT = 10_000
"""The same where classes count by what they take in the compiled pattern, which costs time at load."""

_TOKEN = re.compile(
    r"\\[pP](?:\{[^}]*\}|.)|\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\{\s*(\d+)\s*(?:(,)\s*(\d*)\s*)?\}|.", re.DOTALL
)
_WEIGHTS = {r"\w": 60, r"\W": 60, r"\p": 60, r"\P": 60, r"\d": 10, r"\D": 10, ".": 3, r"\s": 3, r"\S": 3}


def states(text: str) -> tuple[int, int]:
    """About how many states a pattern has, and how much they weigh, counted repetitions written out."""
    groups, last = [(0, 0)], (0, 0)
    for match in _TOKEN.finditer(text):
        char = match[0]
        count, weight = groups[-1]
        if char == "(":
            groups.append((0, 0))
            continue
        if char == ")" and len(groups) > 1:
            last = groups.pop()
            count, weight = groups[-1]
            groups[-1] = (count + last[0], weight + last[1])
        elif match[1] is not None:
            times = min(max(int(match[1][:7]), int((match[3] or "0")[:7]), 1), MAX_WEIGHT) - 1
            groups[-1] = (count + last[0] * times, weight + last[1] * times)
        else:
            heaviest = max((w for sign, w in _WEIGHTS.items() if sign in char), default=1)
            last = (1, heaviest if len(char) > 1 or char == "." else 1)
            groups[-1] = (count + 1, weight + last[1])
    return sum(count for count, _ in groups), sum(weight for _, weight in groups)


class Pattern:
    """A compiled pattern that must match a whole text."""

    __slots__ = ("_matches", "states", "text")

    def __init__(self, text: str) -> None:
        # Imported here, since most files have no pattern and the import takes milliseconds.
        from pydantic_core import SchemaError, SchemaValidator
        from pydantic_core.core_schema import str_schema

        self.text = text
        if len(text) > MAX_PATTERN:
            raise ValueError(f"longer than {MAX_PATTERN} characters")
        self.states, weight = states(text)
        if self.states > MAX_STATES or weight > MAX_WEIGHT:
            raise ValueError("its counted repetitions multiply to too much")
        try:
            # The engine has neither recursion nor backtracking. The bare text is compiled too, so that a
            # stray
            # bracket cannot close the group around it.
            SchemaValidator(str_schema(pattern=text, regex_engine="rust-regex"))
            schema = str_schema(pattern=self.whole, regex_engine="rust-regex", strict=True)
            self._matches = SchemaValidator(schema).isinstance_python
        except SchemaError as error:
            raise ValueError(_reason(str(error))) from None

    def matches(self, value: str) -> bool:
        """Whether the whole text matches."""
        return self._matches(value)

    @property
    def whole(self) -> str:
        """The pattern anchored at both ends."""
        return rf"\A(?:{self.text})\z"


@lru_cache(maxsize=512)
def compile_pattern(text: str) -> Pattern:
    """The compiled pattern. Raises ValueError with a reason in a few words."""
    return Pattern(text)


def _reason(error: str) -> str:
    last = error.strip().splitlines()[-1]
    reason = last.removeprefix("error:").strip()
    if "look-around" in reason:
        return "look-ahead and look-behind are not supported (RE2 syntax)"
    if "backreferences" in reason:
        return "back-references are not supported (RE2 syntax)"
    if "size limit" in reason:
        return "it is too large"
    return reason
