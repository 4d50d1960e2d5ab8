"""Every word of the language, and what it means: what `tusk explain` looks up."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

from tusk_runtime.expressions import FUNCTIONS
from tusk_runtime.language.diagnostics import CODES, nearest
from tusk_runtime.language.operators import AVAILABLE, OPERATORS, canonical
from tusk_runtime.language.rejected import REJECTED
from tusk_runtime.model import reference
from tusk_runtime.model.examples.mistakes import MISTAKES
from tusk_runtime.model.examples.places import PLACES
from tusk_runtime.model.reader import DESCRIPTION, Key
from tusk_runtime.model.sections import LATER
from tusk_runtime.types.text import CONSTRAINTS

Kind = Literal["code", "section", "key", "type", "constraint", "function", "operator", "condition"]
NOT_BUILT = "The language has it, and this version of the runtime does not build it yet."


class Meaning(NamedTuple):
    """What a word means in one place: how it is written, and what it does.

    `keys` are those of the map that stands there; `example` is right, `wrong` is not.
    """

    kind: Kind
    name: str
    title: str
    text: str = ""
    forms: Sequence[str] = ()
    keys: Sequence[Key] = ()
    example: str = ""
    wrong: str = ""


def meanings(word: str) -> list[Meaning]:
    """All that a word means: a code, a section, the path or the name of a key, a type, a function, …"""
    wanted = word.strip().strip("[]`").removesuffix("()")
    if wanted.startswith("@"):
        return list(_operators(wanted[1:].partition("(")[0]))
    if wanted.upper() in CODES:
        return [_code(wanted.upper())]
    return [
        *_sections(wanted),
        *_keys(wanted),
        *_types(wanted),
        *_functions(wanted),
        *_conditions(wanted),
    ]


def similar(word: str) -> str | None:
    """The word that was probably meant."""
    wanted = word.strip().strip("[]`")
    if "." in wanted and not wanted.startswith("@"):
        known = [path.replace(".*", "") for path in key_paths()]
        guess = nearest(wanted, known) or _nearest_key(wanted, known)
        if guess is not None:
            return guess
    candidates = known_words()
    short = re.fullmatch(r"TSK(\d{1,3})", wanted.upper())
    if short is not None and f"TSK{short[1]:0>3}" in CODES:
        return f"TSK{short[1]:0>3}"
    if wanted.startswith("@"):
        return nearest(wanted, [name for name in candidates if name.startswith("@")])
    return nearest(wanted, candidates)


def _nearest_key(wanted: str, known: Sequence[str]) -> str | None:
    """The path whose every part is near."""
    parts = wanted.split(".")
    for path in known:
        others = path.split(".")
        if len(others) == len(parts) and all(
            mine == other or nearest(mine, [other]) for mine, other in zip(parts, others, strict=True)
        ):
            return path
    return None


def known_words() -> list[str]:
    """Every word that has a meaning, paths of keys left out."""
    found = [*CODES, *reference.sections(), *LATER, *reference.types(), *reference.CONSTRAINTS, *FUNCTIONS]
    found += [f"@{name}" for name in (*AVAILABLE, *REJECTED)]
    found += [*reference.CONDITIONS, *(path.rpartition(".")[2] for path in key_paths())]
    return list(dict.fromkeys(found))


def key_paths() -> dict[str, tuple[reference.Place, Key]]:
    """Every key by its path: `commands.*.emit.event`."""
    return {
        f"{place.path}.{key.name}": (place, key)
        for place in reference.places().values()
        for key in place.keys
    }


# ---- one kind after another -----------------------------------------------------------------------


def _code(id_: str) -> Meaning:
    code = CODES[id_]
    wrong, right = MISTAKES.get(id_, ("", ""))
    return Meaning("code", id_, code.title, code.explanation, example=right, wrong=wrong)


def _sections(name: str) -> Iterator[Meaning]:
    section = reference.sections().get(name)
    if section is not None:
        form = f"[{name}.Name]" if name in reference.DECLARED else f"[{name}]"
        example = PLACES.get(section.path) or PLACES.get(name, "")
        yield Meaning("section", name, section.doc, forms=[form], keys=section.keys, example=example)
    elif name in LATER:
        yield Meaning("section", name, "A section that is not available yet.", NOT_BUILT)


def _keys(wanted: str) -> Iterator[Meaning]:
    if wanted == DESCRIPTION.name:
        text = "Every declaration and section takes it, and so does every map of keys in them."
        yield Meaning("key", wanted, DESCRIPTION.doc, text, [f"{wanted}: {DESCRIPTION.takes}"])
    for path, (place, key) in key_paths().items():
        # Where a name stands in the file, the word may have it, a `*`, or nothing.
        written = re.escape(path).replace(r"\.\*", r"(\.[^.]+)?")
        if re.fullmatch(written, wanted) or (key.name == wanted and key is not DESCRIPTION):
            yield _key(path, place, key)


def _key(path: str, place: reference.Place, key: Key) -> Meaning:
    inner = next((p for p in reference.places().values() if p.key is key), None)
    return Meaning(
        "key",
        path,
        key.doc,
        NOT_BUILT if key.later else "Required." if key.required else "",
        [f"{key.name}: {key.takes}"],
        key.keys,
        "" if key.later else PLACES.get(inner.path if inner is not None else place.path, ""),
    )


def _types(name: str) -> Iterator[Meaning]:
    if name in reference.types():
        taken = ", ".join(f"{constraint}=…" for constraint in CONSTRAINTS.get(name, ()))
        item = "<T>" if name in ("list", "map") else ""
        forms = ["enum(a, b, …)"] if name == "enum" else [f"{name}{item}" + (f"({taken})" if taken else "")]
        yield Meaning("type", name, reference.TYPES[name], forms=forms)
    if name in reference.CONSTRAINTS:
        text = f"A constraint of {', '.join(f'`{type_}`' for type_ in reference.types_with(name))}."
        form = name if name == "unique" else f"{name}=…"
        yield Meaning("constraint", name, reference.CONSTRAINTS[name], text, [f"TYPE({form})"])


def _functions(name: str) -> Iterator[Meaning]:
    function = FUNCTIONS.get(name)
    if function is not None:
        forms = [part.strip() for part in function.text.split(";")]
        text = "Each function is a filter, too: `x | f(y)` is `f(x, y)`."
        yield Meaning("function", name, function.doc, text, forms)


def _conditions(name: str) -> Iterator[Meaning]:
    if name in reference.CONDITIONS:
        form = f"where: {{ column: {{ {name}: … }} }}"
        yield Meaning("condition", name, f"The column {reference.CONDITIONS[name]}.", forms=[form])


def _operators(name: str) -> Iterator[Meaning]:
    found = OPERATORS.get(canonical(name))
    head = name.partition(".")[0]
    if found is not None:
        form = found.form.replace("`", "")
        yield Meaning("operator", f"@{name}", found.doc, "It is carried out once, at load.", [form])
    elif head in REJECTED:
        text = f"What to do instead: {REJECTED[head]}."
        yield Meaning("operator", f"@{name}", "an operator that does not belong in a declaration", text)
