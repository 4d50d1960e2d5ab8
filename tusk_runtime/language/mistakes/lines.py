"""Lines that are no statement: other languages, other dialects, and keys that were nearly right."""

from __future__ import annotations

import re

from tusk_runtime.language import codes
from tusk_runtime.language.mistakes.mistake import Mistake, Skip, quoted
from tusk_runtime.language.source import Span

_KEYWORDS = re.compile(
    r"(?:pub|use|fn|impl|struct|enum|trait|mod|let|const|static|extern|unsafe|match|async|await|return|import"
    r"|from|def|class|package|func|var|type|interface|namespace|using|public|private|protected|export|require"
    r"|require_once|raise|throw|try|catch|except|finally|for|while|loop|if|else|elif|switch|case|echo|print"
    r"|println!|local|module|begin)\b"
)
_PUNCTUATION = re.compile(r"[;{}=]|::|->|\)\s*[:{]?$|:$|^(?:import|from|use|package|using)\s+[\w.:\\/]+$")
_CODE_LINE = re.compile(r".*(?:;\s*(?://.*)?$|\)\s*->|=>\s*\{)|[\w.]+\(.*\)\s*;?$")
_METHOD = re.compile(r"[A-Za-z_]\w*\s*\([^)]*\)\s*\{\s*$")
BRACE_LABEL = re.compile(r"(\$?[\w-]+)\s+(\"[^\"]*\"|'[^']*'|[\w./-]+)\s*\{(?!\{)")
_DIRECTIVE = re.compile(r"[ \t]*(#!?[\w-]+[^\n]*\{)[ \t]*$")
_FARTHEST_DIRECTIVE = 200  # lines that are looked back over
MARKUP = re.compile(r"<[/!?A-Za-z]")
_MARKDOWN = re.compile(r"```|~~~|\*\*|[*+] |\d+\. |> |\||---|===|!?\[.*\]\(|__\w")


def explain_line(mistake: Mistake) -> Skip:
    """A line that is neither a head, nor a key, nor an item."""
    line = mistake.text(mistake.span)
    if line[0].isspace():
        return tell_odd_space(mistake, mistake.source.span(mistake.token.start, mistake.token.start + 1))
    for recognize in (_other_language, _blocks, _almost_a_key):
        skip = recognize(mistake, line)
        if skip is not None:
            return skip
    words = line.split()
    indexed = re.match(r"([\w.-]+)\[[^\]]*\]\s*[:=]", line)
    if re.match(r"//|--|;|/\*", line):
        advice = "comments begin with `#`"
    elif indexed:
        advice = f"write the whole list: `{indexed[1]}: [a, b]`"
    elif ruby := re.match(r":([A-Za-z_]\w*)\s*=>", line):
        advice = f"write `{ruby[1]}: value`"
    elif re.match(r"-\w", line):
        advice = f"write `- {line[1:]}`"
    elif re.fullmatch(r"[\w-]+", line):
        advice = f"write `{line}: value`"
    elif re.fullmatch(r"[\w-]+ [\w.-]+", line):
        advice = f"write `{words[0]}: {words[1]}`"
    elif re.fullmatch(r"[\w-]+", words[0]) and len(words) <= 4:
        advice = f"write `{words[0]}: {quoted(line[len(words[0]) :].strip())}`"
    else:
        advice = "put a `#` in front, if it is a comment"
    return mistake.tell(
        codes.NOT_A_STATEMENT,
        "this line is neither a section, nor a key, nor a list item",
        advice,
        "expected `key: value`",
    )


def _other_language(mistake: Mistake, line: str) -> Skip | None:
    if line.startswith("@"):
        return _operator_line(mistake, line)
    if line.startswith(("function ", "async function ")) or _METHOD.match(line):
        return tell_fujsen(mistake)
    if load := re.match(r"(require|include|use|source|import)\s+[\"']([^\"']+)[\"']\s*;?$", line):
        advice = f'write `@import "{load[2]}"`'
        return mistake.tell(codes.IMPORT, f"`{load[1]}` is spelled `@import` here", advice)
    if re.fullmatch(r"---|\.\.\.|%YAML.*", line):
        return mistake.tell(codes.NOT_A_STATEMENT, "this is a mark of YAML", "remove it")
    if MARKUP.match(line):
        mistake.tell(codes.XML, "XML is not read", "write the element as `[section]`, what is in it as keys")
        return Skip.SECTION
    if re.match(r"export\s+[A-Za-z_]\w*=", line):
        return None  # a line for the shell, which is almost a key
    if (_KEYWORDS.match(line) and _PUNCTUATION.search(line)) or _CODE_LINE.match(line):
        return tell_program_code(mistake)
    if line[0] in "{[":
        mistake.tell(
            codes.JSON_DOCUMENT,
            "a .tsk file has sections and keys, and is not one JSON value",
            "write the members as `key: value` lines, without the brackets around them",
        )
        return Skip.STATEMENT
    if line[0] == "}" and (directive := opened_by_comment(mistake)):
        return tell_directive(mistake, directive)
    if line[0] == "<" and line.rstrip() == "<":
        advice = "remove it, or put it into the column of the name whose block it closes"
        return mistake.tell(codes.WRONG_BRACKET, "`<` closes nothing", advice)
    if line[0] in "]})":
        return mistake.tell(codes.WRONG_BRACKET, f"`{line[0]}` closes nothing", "remove it")
    if _MARKDOWN.match(line):
        return mistake.tell(
            codes.MARKDOWN,
            "this looks like Markdown",
            "put a `#` in front; `tusk extract` takes the configuration out of a guide",
            "expected a section or a key",
        )
    return None


def opened_by_comment(mistake: Mistake) -> Span | None:
    """The nearest line above of the form `#name … {`."""
    text, end = mistake.source.text, mistake.token.start
    for _ in range(_FARTHEST_DIRECTIVE):
        end = text.rfind("\n", 0, end)
        if end < 0:
            return None
        start = text.rfind("\n", 0, end) + 1
        match = _DIRECTIVE.match(text[start : min(end, start + 500)])
        if match is not None:
            return mistake.source.span(start + match.start(1), start + match.end(1))
    return None


def tell_directive(mistake: Mistake, span: Span) -> Skip:
    """`#web { … }`: a comment, and a block behind it that belongs to nothing."""
    name = re.match(r"#!?([\w-]+)", span.text)
    word = name[1] if name else "name"
    mistake.tell(
        codes.HASH_DIRECTIVE,
        "`#` begins a comment, so the block behind it belongs to nothing",
        f"for a map write `{word} {{ … }}`; requests are served by `[commands.*]` and `[queries.*]`",
        "a comment",
        span,
    )
    return Skip.STATEMENT


def tell_odd_space(mistake: Mistake, span: Span) -> Skip:
    """A space that separates nothing, such as the no-break space."""
    name = f"U+{ord(span.text):04X}"
    return mistake.tell(
        codes.BAD_CHARACTER, f"the space {name} is not a plain space", "write a space", span=span
    )


def tell_program_code(mistake: Mistake) -> Skip:
    """Code, up to the end of the section."""
    mistake.tell(
        codes.PROGRAM_CODE,
        "this is program code, not configuration",
        "remove it; `tusk extract` takes the configuration out of a guide",
        "the section is skipped from here",
    )
    return Skip.SECTION


def tell_fujsen(mistake: Mistake) -> Skip:
    """A function, as FUJSEN writes them."""
    line = mistake.text(mistake.span).partition("\n")[0]
    mistake.tell(
        codes.FUJSEN,
        "functions (FUJSEN) are not run",
        "write what it decides as `{{ }}` expressions; Python code is named by the `call` action",
        span=mistake.source.span(mistake.token.start, mistake.token.start + len(line.rstrip())),
    )
    return Skip.STATEMENT


def _operator_line(mistake: Mistake, line: str) -> Skip:
    match = re.match(r"@([\w.]+)", line)
    name = match[1] if match else ""
    if name in ("import", "include", "require"):
        path = re.search(r"[\"'(\s]([\w./-]+)[\"')]*\s*;?$", line[len(name) + 1 :])
        return mistake.tell(
            codes.IMPORT,
            "this import cannot be read" if name == "import" else f"`@{name}` is spelled `@import` here",
            f'write `@import "{path[1] if path else "other.tsk"}"`, in the first column',
        )
    return mistake.tell(
        codes.NOT_A_STATEMENT,
        "an operator cannot stand alone",
        f"give it a key: `name: {line}`",
        "expected `key: value`",
    )


def _blocks(mistake: Mistake, line: str) -> Skip | None:
    brace = BRACE_LABEL.match(line)
    if brace:
        tell_label(mistake, mistake.token.start, brace)
        return Skip.STATEMENT
    return None


def tell_label(mistake: Mistake, start: int, brace: re.Match[str]) -> Skip:
    """`name "label" { … }`, which begins at an offset."""
    label = brace[2].strip("\"'")
    inner = label if label.isidentifier() else quoted(label)
    return mistake.tell(
        codes.BRACE_BLOCK,
        f"the block `{brace[1]}` has a label",
        f"write `{brace[1]} {{ {inner} {{ … }} }}`",
        "expected `{` behind the name",
        mistake.source.span(start + brace.start(2), start + brace.end(2)),
    )


def span_of_key(mistake: Mistake, key: str) -> Span:
    """The place of a key at the beginning of the line."""
    return mistake.source.span(mistake.token.start, mistake.token.start + len(key))


def _almost_a_key(mistake: Mistake, line: str) -> Skip | None:
    match = re.match(r"([^\s:=\"'(){}\[\],]+(?: +[^\s:=\"'(){}\[\],]+){0,3}) *(:=|=>|==|[:=])", line)
    if match is None:
        return None
    key, sign = match[1], match[2]
    if key[-1] in "+-*/." and sign == "=":
        return mistake.tell(
            codes.NOT_A_STATEMENT,
            f"`{key[-1]}=` assigns nothing",
            f"write the whole value: `{key[:-1].strip()}: …`",
            "expected `:` or `=`",
            mistake.source.span(mistake.token.start + len(key) - 1, mistake.token.start + match.end(2)),
        )
    prefix = re.match(r"(export|set|declare|local|let|const|var)\s+([\w-]+)$", key)
    if prefix:
        return mistake.tell(
            codes.BAD_KEY,
            f"`{prefix[1]}` in front of a key means nothing",
            f"write `{prefix[2]}: …`; a variable is `${prefix[2]}: …`, one of the environment stands in a "
            "file for `--env-file`",
            span=span_of_key(mistake, key),
        )
    span = span_of_key(mistake, key)
    if sign in (":=", "=>", "=="):
        start = mistake.token.start + match.start(2)
        return mistake.tell(
            codes.NOT_A_STATEMENT,
            f"`{sign}` assigns nothing",
            f"write `{key}: …`",
            "expected `:` or `=`",
            mistake.source.span(start, start + 2),
        )
    if re.fullmatch(r"[\w-]+(\.[\w-]+)+", key):
        path, _, last = key.rpartition(".")
        advice = f"write `{last}:` in the section `[{path}]`, or `{quoted(key)}:` if the dots are in its name"
        return mistake.tell(codes.BAD_KEY, f"`{key}` is a path, not a key", advice, span=span)
    plain = re.sub(r"\W+", "_", key).strip("_")
    advice = f"write `{quoted(key)}:`" + (f", or `{plain}:`" if plain else "")
    return mistake.tell(codes.BAD_KEY, f"the key `{key}` needs quotes", advice, span=span)
