"""Loading 10,000 lines beside the parsers of YAML and TOML on the same content, and how soon `tusk check` starts.

The lines are the shop's own, with the names of everything declared changed from copy to copy, so that all
of it is resolved and checked as a real file is. The others only parse: they know nothing of what a name or an
expression means. The goal is to be no slower than PyYAML's pure Python loader, and a start of at most 250 ms.

    python benchmarks/loading.py --lines 10000 --rounds 5
"""

from __future__ import annotations

import argparse
import compileall
import gc
import re
import statistics
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import yaml
from measure import describe, ratio, table

import tusk_runtime
from tusk_runtime.language.diagnostics import Problems
from tusk_runtime.language.load import load_text, source_of
from tusk_runtime.language.parse import parse
from tusk_runtime.model.build import build

SHOP = Path(__file__).resolve().parents[1] / "examples" / "shop.tsk"
SETTINGS = ("runtime", "http")
"""The sections that a file has once."""

PARSE, RESOLVE, BUILD = "tsk: parsed", "tsk: parsed, resolved", "tsk: parsed, resolved, built and checked"
YAML_C, YAML_PYTHON, TOML = "PyYAML, C loader", "PyYAML, Python loader", "tomllib"


def generated(lines: int) -> str:
    """A file of about so many lines: the shop again and again, every declaration under another name."""
    text = SHOP.read_text()
    head, _, rest = text.partition("[types]")
    rest = "[types]" + rest
    names = set(re.findall(r"^\[(?:aggregates|commands|projections|queries|tests)\.(\w+)\]", rest, re.M))
    for section in ("types", "events", "commands"):
        body = re.search(rf"^\[{section}\]\n(.*?)(?=^\[)", rest, re.M | re.S)
        names |= set(re.findall(r"^(\w+):", body[1], re.M)) if body else set()
    names |= set(re.findall(r"^(\w+_events):", rest, re.M))
    # Columns and fields of the same name as a declaration are renamed with it, which does no harm.
    declared = re.compile(rf"\b({'|'.join(sorted(names, key=len, reverse=True))})\b")
    copies = max(1, round(lines / rest.count("\n")))
    return head + "".join(declared.sub(rf"\g<1>{number}", rest) for number in range(copies))


def as_toml(tree: Mapping[str, Any]) -> str:
    """A tree as TOML: a table for each section, everything else inline. TOML has no null: it is left out."""
    return "".join(
        f"[{section}]\n"
        + "".join(f"{_key(key)} = {_toml(value)}\n" for key, value in body.items() if value is not None)
        for section, body in tree.items()
    )


def _key(key: str) -> str:
    return key if re.fullmatch(r"[\w-]+", key) else _toml(key)


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_key(k)} = {_toml(v)}" for k, v in value.items() if v is not None) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(_toml(item) for item in value if item is not None) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    return (
        str(value)
        if isinstance(value, int | Decimal)
        else '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    )


def plain(value: Any) -> Any:
    """A tree that YAML can write: decimals become floats."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return float(value) if isinstance(value, Decimal) else value


def variants(text: str) -> dict[str, Callable[[], object]]:
    """What is measured, each from text to result."""
    problems = Problems()
    tree = load_text(text, "app.tsk", {}, problems).plain()
    assert not problems.has_errors, [str(p.span) + p.message for p in problems][:5]
    assert set(SETTINGS) <= set(tree)
    in_yaml, in_toml = yaml.safe_dump(plain(tree), sort_keys=False, allow_unicode=True), as_toml(tree)
    assert yaml.load(in_yaml, yaml.CSafeLoader) == plain(tree)
    assert list(tomllib.loads(in_toml)) == list(tree)

    def whole() -> object:
        found = Problems()
        return build(load_text(text, "app.tsk", {}, found), "app.tsk", found)

    return {
        PARSE: lambda: parse(source_of(text, "app.tsk"), Problems()),
        RESOLVE: lambda: load_text(text, "app.tsk", {}, Problems()),
        BUILD: whole,
        YAML_C: lambda: yaml.load(in_yaml, yaml.CSafeLoader),
        YAML_PYTHON: lambda: yaml.load(in_yaml, yaml.SafeLoader),
        TOML: lambda: tomllib.loads(in_toml),
    }


def rates(text: str, rounds: int) -> dict[str, list[float]]:
    """Lines a second of each, A B C A B C …; the lines are those of the .tsk for all of them."""
    found: dict[str, list[float]] = {}
    lines = text.count("\n")
    measured = variants(text)
    for _ in range(rounds):
        for name, run in measured.items():
            # As the runtime loads files: next to nothing of what is made is garbage.
            gc.collect()
            gc.disable()
            begin = time.perf_counter()
            result = run()
            found.setdefault(name, []).append(lines / (time.perf_counter() - begin))
            gc.enable()
            del result
    return found


STARTS: Mapping[str, Sequence[str]] = {
    "python -c pass": ("-c", "pass"),
    "import lark, pydantic": ("-c", "import lark, pydantic"),
    "tusk check hello.tsk": (
        "-c",
        "from tusk_runtime.cli.main import main; main()",
        "check",
        str(SHOP.with_name("hello.tsk")),
    ),
    "tusk check shop.tsk": ("-c", "from tusk_runtime.cli.main import main; main()", "check", str(SHOP)),
}


def starts(rounds: int) -> dict[str, list[float]]:
    """Milliseconds from the start of a process to its end, with the bytecode that an installation has."""
    compileall.compile_dir(Path(tusk_runtime.__file__).parent, quiet=1)
    found: dict[str, list[float]] = {}
    for _ in range(rounds):
        for name, arguments in STARTS.items():
            begin = time.perf_counter()
            subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
            found.setdefault(name, []).append((time.perf_counter() - begin) * 1000)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--lines", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    print(describe("tusk-runtime", "lark", "pyyaml"))
    text = generated(options.lines)
    print(f"{text.count(chr(10)):,} lines, {len(text):,} characters")
    measured = rates(text, options.rounds)
    table(measured, "lines/s")
    for other in (YAML_PYTHON, YAML_C, TOML):
        print(f"built and checked : {other:24}{ratio(measured, BUILD, other):8.2f} times")
    started = starts(3 * options.rounds)
    table(started, "ms from start to end")
    print(f"tusk check starts in {statistics.median(started['tusk check shop.tsk']):.0f} ms; the goal is 250")


if __name__ == "__main__":
    main()
