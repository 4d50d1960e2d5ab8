"""Texts that are made to take long: each generator gives one of about as many characters as it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping


def repeated(unit: str, before: str = "", behind: str = "") -> Callable[[int], str]:
    """A generator that repeats a unit between two texts."""
    return lambda length: before + unit * max(1, length // len(unit)) + behind


def numbered(unit: str, before: str = "", behind: str = "") -> Callable[[int], str]:
    """A generator that repeats a unit in which `#` is another number each time."""
    each = len(unit) + 5 * unit.count("#")
    return lambda length: (
        before + "".join(unit.replace("#", f"{n:06}") for n in range(length // each)) + behind
    )


def halves(one: str, two: str, before: str = "", between: str = "") -> Callable[[int], str]:
    """Half of one numbered unit, half of another."""
    first, second = numbered(one, before), numbered(two, between)
    return lambda length: first(length // 2) + second(length // 2)


_COMMANDS = '[aggregates.A]\nstate: { n: "integer = 0" }\non: { E000000: {} }\n[commands]\n'

TEXTS: Mapping[str, Callable[[int], str]] = {
    # Brackets, quotes and blocks that never end, or that end everywhere.
    **{f"open {one!r}": repeated(one, "x: ") for one in ("[", "{", "(", "{a: ", "[1, ", "{a: [", "@env(", "${", "!")},
    **{f"close {one!r}": repeated(one, "x: 1 ") for one in ("]", "}", ")", "<", ">", "]}", "}}")},
    **{f"line {one!r}": repeated(one + "\n") for one in (
        "x: [", "x: {", "x {", "x >", "<", "}", "]", "x: (", "- [", "x: '''", 'x: """', 'x: "', "x: '", "- - -", "[a", "a]",
        "[]", "[a.]", "[[a]]", "x: ,", ": 1", "x = = 1", "= 1", "x:: 1", "x 1", "!x: 1", "$: 1", "$x", "@x", "import:",
        '@import "x.tsk"', "import: [", "</a>", "<a b='1'>", "# Title", "```tsk", "fn main() {", "def f():", "x: |", "x: >-",
        "x: yes", "x: 1 2", "key with spaces: 1", "x: a: b", "if x:", "}, {", "x: &a", "x: *a", "? x", "%x", "\\", "\\\\",
        "\t", "\tx: 1", " \t x: 1", "\u00a0x: 1", "\u200b", "x: \u202e", "é: 1", "\ufeff", "x: 1;", "x: 1,", ";", ",",
        "x: .5", "x: 01", "x: 1_000", "x: 0x", "x: 1e", "x: 1..2", "x: 5 days", "x: a b", "x: a + b", "x: @env(X)",
        "x: @evn('X')", "x: @query('x').a.b", 'x: @date("Y", "monday")', "x: $y", 'x: "${y}"', 'x: "${y"', 'x: "$y"',
        "x: a ? b", "x: a ? b :", "x: ? :", "x: a && || b", "x: a == b == c", "x: {{ y }}", "x: {% y %}", "y: 1 # c", "#" * 50,
    )},
    **{f"one line of {one!r}": repeated(one, "x: ") for one in (
        '"', "'", '"" ', "'' ", '"a" + ', '"a', "a ", "a,", "1 ", "1,", "0", "9", "-", "+", "1.", "1e", "0x", ".", ":", "::",
        "? ", "a ? b : ", "a ? ", "(a ? ", "a || ", "a && ", "!", "! ", "a == ", "1 + ", "(1 + ", "((", "()", "[]", "{}", "[],",
        "{},", "a: ", "a=", "$a", "$", "${a}", "${", "@", "@a", "@env", "@env('X') ", '@if(a, "', "@if(1, 2, ", ".a", ".a(",
        "#", " #", "# ", "\\", '\\"', "\\u", "\t", "\u00a0", "\u200b", "\u202e", "é", "e\u0301", "\U0001f600", "<", ">", " > ", "<a ",
        "{{", "}}", "{{ }}", "{%", "%}", "/", "//", "/*", "--", ";", "|", "&", "*", "%", "~", "^", "`", "=>", "->", "\x00", "\x07",
    )},
    **{f"a text of {one!r}": repeated(one, 'x: "', '"\n') for one in (
        "a", "\\\\", '\\"', "\\n", "\\q", "\\u0041", "\\ud83d\\ude00", "\\ud83d", "${", "${a}", "${a", "$a", "${a.b}", "$", "}", "{{",
        "{{ 1 }}", "}}", "@env('X')", "@env(", "@", "@a", "@env('", "{", "{%", "{#", "\t", "\u200b", "#", " # ", "'",
    )},
    **{f"a block of {one!r}": repeated(one, 'x: """\n', '\n"""\n') for one in ("a\n", " \n", "  a\n b\n", '"', '\\"', "${a}", "${", "\t")},
    "an open block": repeated('" ""', 'x: """'),
    "a long key": repeated("k", "", ": 1\n"),
    "a long quoted key": repeated("k ", '"', '": 1\n'),
    "a long head": repeated("a", "[", "]\n"),
    "a head of many names": repeated("a.", "[", "a]\n"),
    "a long number": repeated("7", "x: ", "\n"),
    "a long fraction": repeated("7", "x: 0.", "\n"),
    "a long exponent": repeated("9", "x: 1e", "\n"),
    "a long hexadecimal": repeated("f", "x: 0x", "\n"),
    "a long duration": repeated("1h", "x: ", "\n"),
    "deeper and deeper": lambda length: "".join("  " * n + "k:\n" for n in range(int(length**0.5))),
    "deeper items": lambda length: "".join("  " * n + "-\n" for n in range(int(length**0.5))),
    "up and down": lambda length: "".join(f"{' ' * (n * 7 % 40)}k: 1\n" for n in range(length // 26)),
    "blank lines": repeated("   \n", "x:\n", "  y: 1\n"),
    "comments": repeated("# c\n"),
    "line ends": repeated("\r\n"),
    "carriage returns": repeated("\r", "x: 1"),
    # Many of what is right.
    "sections": numbered("[s#]\n"),
    "sections of kinds": numbered("[events.E#]\n"),
    "keys": numbered("k#: 1\n", "[s]\n"),
    "the same key": repeated("k: 1\n", "[s]\n"),
    "the same section": numbered("[s]\nk#: 1\n"),
    "the same section and key": repeated("[s]\nk: 1\n"),
    "sections in one another": numbered("[a.b.c.d.s#]\nk: 1\n"),
    "list items": repeated("  - 1\n", "x:\n"),
    "members": numbered("k#: 1, ", "x: { ", " }\n"),
    "variables": numbered("$v#: 1\n"),
    "variables of variables": lambda length: "$v000000: 1\n" + "".join(f"$v{n:06}: $v{n - 1:06}\n" for n in range(1, length // 18)),
    "texts of variables": lambda length: '$v000000: "a"\n' + "".join(f'$v{n:06}: "${{v{n - 1:06}}}a"\n' for n in range(1, length // 24)),
    "doubling variables": lambda length: '$v000000: "a"\n' + "".join(f'$v{n:06}: "${{v{n - 1:06}}}${{v{n - 1:06}}}"\n' for n in range(1, length // 33)),
    "doubling lists": lambda length: "$v000000: [1]\n" + "".join(f"$v{n:06}: [$v{n - 1:06}, $v{n - 1:06}]\n" for n in range(1, length // 29)),
    "variables used before": lambda length: "".join(f"$v{n:06}: $v{n + 1:06}\n" for n in range(length // 18)),
    "uses of a large map": lambda length: "$m: { " + "k: [1, 2, 3], " .replace("k", "k0") + " }\n" + "x: [" + "$m, " * (length // 4) + "]\n",
    "uses of a long text": lambda length: f'$t: "{"a" * (length // 2)}"\n' + 'x: "${t}"\n' * (length // 20),
    "uses of keys": halves("k#: 1\n", "x#: ${s.k#}\n", "[s]\n", "[t]\n"),
    "uses of unknown variables": halves("$v#: 1\n", "x#: $w#\n", "", "[t]\n"),
    "texts of unknown variables": halves("$v#: 1\n", 'x#: "${w#}"\n', "", "[t]\n"),
    "uses of unknown keys": halves("k#: 1\n", 'x#: "${s.q#}"\n', "[s]\n", "[t]\n"),
    "environment": numbered("k#: @env('V#')\n", "[s]\n"),
    "features": halves("f#: true\n", "x#: @feature('g#')\n", "[features]\n", "[t]\n"),
    "imports": numbered('@import "f#.tsk"\n'),
    "import list": numbered('"f#.tsk", ', "import: [", "]\n"),
    "other files": numbered('x#: @f#.tsk.get("a.b")\n', "[s]\n"),
    "json": numbered('"k#": { "a": [1, 2] }, ', "{", '"z": 1}'),
    "json in json": repeated('{"a": ', "", ""),
    # Declarations, right and wrong.
    "types": numbered('T#: { a: "integer", b: "string?" }\n', "[types]\n"),
    "types of types": lambda length: '[types]\nT000000: "string"\n' + "".join(f'T{n:06}: "T{n - 1:06}"\n' for n in range(1, length // 19)),
    "a cycle of types": lambda length: "[types]\n" + "".join(f'T{n:06}: {{ a: "T{n + 1:06}" }}\n' for n in range(length // 24)) + "T: 1\n",
    "unknown types": halves('T#: "string"\n', 'E#: { fields: { a: "U#" } }\n', "[types]\n", "[events]\n"),
    "type texts that nest": lambda length: '[types]\nT: "' + "list<" * (length // 6) + "string" + ">" * (length // 6) + '"\n',
    "an enum of many": numbered("v#, ", '[types]\nT: "enum(', 'z)"\n'),
    "an enum of the same": repeated("v, ", '[types]\nT: "enum(', 'z)"\n'),
    "a long pattern": repeated("(a|b)*", "[types]\nT: \"string(pattern='", "')\"\n"),
    "fields": numbered('f#: "integer", ', "[events]\nE: { fields: { ", " } }\n"),
    "events": numbered("E#: {}\n", "[events]\n"),
    "categories": halves("E#: {}\n", '  - "E#"\n', "[events]\n", "[event_categories]\nc:\n"),
    "categories of unknown events": halves("E#: {}\n", '  - "F#"\n', "[events]\n", "[event_categories]\nc:\n"),
    "unknown sections": numbered("[secton#]\nk: 1\n"),
    "unknown keys": numbered("kye#: 1\n", "[runtime]\n"),
    "handlers": halves("E#: {}\n", "  E#: {}\n", "[events]\n", "[aggregates.A]\non:\n"),
    "handlers of unknown events": halves("E#: {}\n", "  F#: {}\n", "[events]\n", "[aggregates.A]\non:\n"),
    "commands": numbered('C#: { aggregate: "A", creates: true, emit: "E000000" }\n', "[events]\nE000000: {}\n" + _COMMANDS),
    "commands that emit unknown events": halves("E#: {}\n", 'C#: { aggregate: "A", creates: true, emit: "F#" }\n', "[events]\n", _COMMANDS),
    "commands of unknown aggregates": halves("A#: {}\n", 'C#: { aggregate: "B#" }\n', "[aggregates]\n", "[commands]\n"),
    "states": numbered('s#: "integer = 0", ', "[aggregates.A]\nstate: { ", " }\n"),
    "machine states": numbered("s#, ", '[events]\nE: {}\n[aggregates.A]\nmachine: "s"\nstate: { s: "enum(', 'z) = z" }\non: { E: {} }\n'),
    "unknown machine states": numbered('"s#", ', '[aggregates.A]\nmachine: "s"\nstate: { s: "enum(a, z) = z" }\n[commands.C]\naggregate: "A"\nfrom: [', "]\n"),
    "unknown columns": halves('c#: "integer?", ', '"d#", ', '[projections.p]\nkey: "id"\ncolumns: { id: "uuid", ', "}\nindex: ["),
    "expressions": numbered('s#: "{{ 1 + 2 * (3 - 4) }}", ', "[aggregates.A]\non: { E: { ", " } }\n[events]\nE: {}\n"),
    "unknown fields": halves('f#: "integer", ', 's: "{{ data.g# }}", ', "[events]\nE: { fields: { ", " } }\n[aggregates.A]\non: { E: { "),
    "a long expression": repeated("1 + ", '[aggregates.A]\nstate: { n: "integer = 0" }\non: { E: { n: "{{ ', '1 }}" } }\n[events]\nE: {}\n'),
    "many expressions in a text": repeated("{{ data.n }} ", '[aggregates.A]\nstate: { t: "string?" }\non: { E: { t: "', '" } }\n[events]\nE: { fields: { n: "integer" } }\n'),
    "tests": numbered('t#: { when: [], then: [] }\n', "[tests]\n"),
    "tests of unknown commands": halves("E#: {}\n", "  - F#: {}\n", "[events]\n", "[tests.t]\nwhen:\n"),
}  # fmt: skip
"""Files."""

EXPRESSIONS: Mapping[str, Callable[[int], str]] = {
    one: repeated(one)
    for one in (
        "(", ")", "[", "{", "'", '"', "'a' ", "1 ", "1+", "-", "not ", "a.", "a?.", "??", "a ?? ", "|", "a|", "{{", "}}", "if ",
        "x if y else ", "[x for x in ", "for x in a ", "a(", "a,", "'\\", "1e", "9", "0.0", "is ", "is not ", " ", "\t", "\\", "~",
        "&&", "=", "==", "data.n == ", "data.n + ", "data.name | lower | ", "{'a': ", "\u200b", "é", "\n",
    )
}  # fmt: skip
"""Insides of `{{ }}`."""

TYPES: Mapping[str, Callable[[int], str]] = {
    one: repeated(one)
    for one in (
        "list<", "map<", "<", ">", "(", ")", "?", "string(", "string(min=1, ", "enum(", "a, ", "enum('a', ", "'", '"', "=", "= ",
        "string = ", "pattern='(", "\\", " ", "a", "9", "a.", "list<string>(", "(?:a{1000}){1000}", "pii ", "\t", "é",
    )
}  # fmt: skip
"""Texts of types."""

ENV_FILES: Mapping[str, Callable[[int], str]] = {
    one: repeated(one)
    for one in (
        "A=1\n", "A\n", "A=", "='", 'A="', 'A="\\"', "A='x' y\n", "export ", "export A=1 # c\n", " ", " \n", "#", " #", "A=# ",
        "A= \t", "\\", 'A="\\n"\n', "\r", "\r\n", "\x00", "é=1\n", "A B=1\n",
    )
} | {"names": numbered("N#=1\n"), "long name": repeated("N", "", "=1\n"), "long value": repeated("v ", "A=", "\n")}  # fmt: skip
"""Files of environment variables."""
