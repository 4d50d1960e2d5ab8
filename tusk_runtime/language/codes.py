"""The codes of this layer: TSK001 to TSK099 for syntax, TSK100 to TSK149 for loading."""

from __future__ import annotations

from tusk_runtime.language.diagnostics import define

# ---- lines and sections ---------------------------------------------------------------------------

NOT_A_STATEMENT = define(
    "TSK001",
    "a line that is neither a section, nor a key, nor a list item",
    "A .tsk file consists of `[section]` heads, `key: value` lines, `- item` lines and `# comments`. "
    "Nothing else is guessed at: write the line as one of these, or put a `#` in front of it.",
)
PROGRAM_CODE = define(
    "TSK002",
    "program code",
    "A .tsk file holds configuration only. The line reads like Rust, Python, JavaScript or another "
    "language, as guides often show it below the configuration. The rest of that section was not read. "
    "`tusk extract guide.md` takes the configuration out of a guide.",
)
BAD_SECTION_HEAD = define(
    "TSK003",
    "a section head that cannot be read",
    "A head is `[name]` or `[outer.inner]` in the first column of a line of its own. Names consist of "
    'letters, digits, `_` and `-`; any other name stands in quotes: `[a."b c"]`.',
)
TAB_INDENT = define(
    "TSK004",
    "a tab in the indentation",
    "Indentation says what belongs to what, and a tab has no certain width. Indent with spaces.",
)
UNEVEN_INDENT = define(
    "TSK005",
    "an indentation that fits no level",
    "A line that is indented less than the one above must stand in the column of one of the keys around "
    "it. Move it under the key whose sibling it is.",
)
UNEXPECTED_INDENT = define(
    "TSK006",
    "an indented line under nothing",
    "Only a section head, or a key or `-` with nothing behind it, opens an indented block.",
)
DUPLICATE_KEY = define(
    "TSK007",
    "a key given twice",
    "A key has one value in its map. Sections given twice are merged, but a key in them must still be "
    "given once. Remove one of the two lines.",
)
STRAY_ITEM = define(
    "TSK008",
    "a list item in a map, or a key in a list",
    "`- item` lines stand under a key with nothing behind it, and a block holds either items or keys.",
)
BAD_KEY = define(
    "TSK009",
    "a key that cannot be read",
    "A bare key consists of letters, digits, `_` and `-`. Any other key stands in quotes. A dotted path "
    "is written as nested maps or as a section head.",
)
SECTION_CONFLICT = define(
    "TSK010",
    "a section under a key that holds a value",
    "`[a.b]` is the map `b` in the map `a`, so neither can be a value or a list as well.",
)

# ---- values ---------------------------------------------------------------------------------------

UNQUOTED_TEXT = define(
    "TSK011",
    "text that needs quotes",
    "Without quotes a text is one word: letters, digits and `_ - . / : % ~ @`. Anything else, such as "
    "a sentence, stands in quotes.",
)
YES_NO = define(
    "TSK012",
    "a word that other formats read as a boolean",
    "Booleans are `true` and `false`, null is `null`, in small letters. `yes`, `no`, `on` and `off` "
    "would be texts here and booleans elsewhere, so they must be written as one or the other.",
)
UNQUOTED_TEMPLATE = define(
    "TSK013",
    "`{{ }}` without quotes",
    'A run-time expression is a text: `total: "{{ data.total }}"`. `{% %}` is not part of the language; '
    "conditions are `x if c else y`, repetition is `for_each`.",
)
UNTERMINATED_TEXT = define(
    "TSK014",
    "a text without its closing quote",
    'A text in `"` or `\'` ends on its own line. A text over several lines stands between `"""` and `"""`.',
)
BAD_ESCAPE = define(
    "TSK015",
    "an escape that does not exist",
    'Double quotes know the escapes of JSON: `\\" \\\\ \\/ \\b \\f \\n \\r \\t \\uXXXX`. For a backslash '
    "write two, or use single quotes, where nothing is escaped.",
)
UNCLOSED_BRACKET = define(
    "TSK016",
    "a bracket that is not closed",
    "`[`, `{` and `(` may span lines, up to their closing bracket. The lines between stand deeper than "
    "the line that opens them.",
)
WRONG_BRACKET = define(
    "TSK017",
    "a closing bracket that does not fit",
    "Every `]`, `}` and `)` closes the bracket of its own kind that was opened last.",
)
MISSING_VALUE = define(
    "TSK018",
    "a missing value",
    "Between brackets every member has a value: `[1, 2]`, `{ a: 1 }`. For nothing write `null`.",
)
MISSING_SEPARATOR = define(
    "TSK019",
    "two members without a comma",
    "Members of a list or an object are separated by commas or stand on lines of their own.",
)
TEXT_AFTER_VALUE = define(
    "TSK020",
    "something behind the value",
    "A line ends behind its value; only a comment (` # …`, with a space in front) may follow. Several "
    "values are a list: `[a, b]`.",
)
BAD_NUMBER = define(
    "TSK021",
    "a number that is not written as one",
    "Numbers are `42`, `-1`, `0.5`, `1e3`, `0xff`, `0b101`, `0o17`. Leading zeros, `.5`, `5.` and `1_000` "
    "mean different things in different languages: write the number, or a text in quotes.",
)
TOO_DEEP = define(
    "TSK022",
    "too many levels",
    "Sections, indented maps, lists and objects may stand 64 deep in each other.",
)
MEMBER_WITHOUT_KEY = define(
    "TSK023",
    "a member without a key",
    "An object `{ … }` holds `key: value` members. A list of values stands in `[ … ]`.",
)
BAD_CHARACTER = define(
    "TSK024",
    "a character that cannot be seen",
    "Control characters and characters that turn the direction of the text around make a file read "
    "differently than it looks. In a text write them as `\\uXXXX`.",
)

# ---- forms that are known, and not available ------------------------------------------------------

EXPRESSION = define(
    "TSK030",
    "an expression that cannot be calculated",
    "At load there are `a ? b : c`, `== != < <= > >=`, `&& || !` and `+`. Conditions are true or false; `+` "
    "adds "
    "numbers or joins texts; numbers are compared with numbers, texts with texts. Text from the environment "
    "counts as a number or a boolean where it stands beside one. An expression over events stands in quotes: "
    '`"{{ … }}"`.',
)
VARIABLE = define(
    "TSK031",
    "a name that stands for nothing",
    "`$name`, and `${name}` in double quotes, is the value of `$name: …` above or in an imported file; where "
    "there is none, of the key `name` above in the same section or map; `$section.key` is that of a key in a "
    "section above. In single quotes `${` is plain text.",
)
VARIABLE_CYCLE = define(
    "TSK041",
    "variables that need each other",
    "A value cannot be made out of itself. Write one of the values in the loop as it is.",
)
TOO_LARGE = define(
    "TSK042",
    "values that grow too large",
    "Variables that are used in each other again and again would make a document of more than 100,000 "
    "values or "
    "8 MiB of text.",
)
UNCLOSED_BLOCK = define(
    "TSK040",
    "a block `name > …` without its `<`",
    "A block that `name >` opens ends with `<` on a line of its own, in the column of the name.",
)
BRACE_BLOCK = define(
    "TSK032",
    "a block with a label",
    "A block is `name { … }`, with a name and nothing else. Write a second name as a map in it: "
    "`name { label { … } }`.",
)
HASH_DIRECTIVE = define(
    "TSK043",
    "a block behind a comment",
    "`#` begins a comment, also in front of a word: `#web { … }` is a directive in other TuskLang runtimes, "
    "and "
    "here a comment with a block that belongs to nothing. Remove the `#`, or comment the whole block out.",
)
FUJSEN = define(
    "TSK034",
    "a function (FUJSEN)",
    "Code in a configuration is not run. What a function would decide is written as `{{ }}` expressions in "
    "commands, projections and queries; anything else is the `call` action, which names a Python function.",
)
XML = define(
    "TSK035",
    "XML",
    "A .tsk file consists of sections and keys. Write the element as a section, its attributes and "
    "children as keys.",
)
TYPED_KEY = define(
    "TSK036",
    "`key: type = value`",
    "A key has a value and no type: the key itself says what it expects. Where a type is wanted it is a "
    'text: `amount: "decimal = 0"`.',
)
MARKDOWN = define(
    "TSK037",
    "Markdown",
    "The file holds text of a guide around the configuration. `tusk extract guide.md` takes the "
    "configuration out of a guide and writes a .tsk file.",
)
JSON_DOCUMENT = define(
    "TSK038",
    "a JSON document that is no object",
    "A file is sections and keys, or one JSON object `{ … }` and nothing else: a list or a single value has "
    "no "
    "keys.",
)

TOO_MANY = define(
    "TSK099",
    "too many errors",
    "Only the first 100 errors of a file are told; what follows was not checked.",
)

# ---- files ----------------------------------------------------------------------------------------

NO_FILE = define("TSK100", "a file that is not there", "Check the path, and the folder you stand in.")
UNREADABLE_FILE = define(
    "TSK101", "a file that cannot be read", "The operating system refused; its reason is in the message."
)
NOT_A_FILE = define("TSK102", "a folder where a file is expected", "Name the file in the folder.")
NOT_UTF8 = define(
    "TSK103", "a file that is not UTF-8", "Save the file as UTF-8 (with or without a byte order mark)."
)
FILE_TOO_LARGE = define("TSK104", "a file of more than 8 MiB", "Declarations are small; this is other data.")
BINARY_FILE = define(
    "TSK105", "a file with NUL bytes", "This is not a text file, or it is UTF-16: save it as UTF-8."
)

# ---- operators ------------------------------------------------------------------------------------

MISSING_VARIABLE = define(
    "TSK110",
    "an environment variable that is not set",
    "`@env('X')` without a default needs the variable. Set it, put it into the file named by `--env-file`, "
    "or give a default: `@env('X', \"value\")`.",
)
BAD_CALL = define(
    "TSK111",
    "an operator call that cannot be read",
    "An operator is written `@env('NAME')` or `@env('NAME', default)`, the name in quotes. Within a text "
    "use the other kind of quotes: `\"Bearer @env('KEY')\"`.",
)

OPERATOR_REJECTED = define(
    "TSK113",
    "an operator that does not belong in a declaration",
    "The file is read once and must mean the same at every replay. Operators that query, call, measure, "
    "learn or depend on a request are replaced by declarations; the help says by which.",
)
UNKNOWN_OPERATOR = define(
    "TSK114",
    "an unknown operator",
    "No operator has this name. A text that begins with `@` stands in quotes.",
)

IMPORT = define(
    "TSK115",
    "an import that cannot be done",
    'An import is `@import "other.tsk"` on a line of its own in the first column, or `import: ["a.tsk", '
    '"b.tsk"]` above the first section. Paths begin at the importing file, and stay inside of the project '
    "folder: that of the nearest `.git`, else of the topmost `peanu.tsk` above, else of the file itself.",
)
STAYS_TEXT = define(
    "TSK116",
    "an operator that stays text",
    "Something in a text in double quotes looks as if it should be replaced, and is not: only `@env('X')` "
    "and "
    "`${name}` are. It is a warning. In single quotes a text is plain, and nothing is said.",
)
NO_VALUE = define(
    "TSK117",
    "something that has no value",
    "`@feature('x')` finds no `x` in `[features]`, `@name.tsk.get('a.b')` no such key, or `@int`, `@float`, "
    "`@bool` and `@date` cannot read what they are given.",
)
IMPORT_CYCLE = define(
    "TSK118",
    "files that import each other",
    "A file cannot need itself, directly or through others. Move what both need into a file of its own.",
)
OPEN_FOLDER = define(
    "TSK119",
    "a file in a folder that others can write",
    "A `peanu.tsk` is found above, in a folder that everyone can write: it was not read, since anyone could "
    "have put it there. It is a warning.",
)

# ---- the file of environment variables ------------------------------------------------------------

BAD_ENV_LINE = define(
    "TSK120",
    "a line of an environment file that cannot be read",
    "Lines are `NAME=value`, `NAME=\"value\"`, `NAME='value'`, with or without `export` in front, or "
    "`# comments`.",
)
DUPLICATE_ENV = define(
    "TSK121", "an environment variable given twice", "Remove one of the two lines; none of them wins."
)
