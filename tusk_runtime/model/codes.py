"""The kinds of problems that sections, keys and declarations can have."""

from __future__ import annotations

from tusk_runtime.language.diagnostics import define

UNKNOWN_SECTION = define(
    "TSK200",
    "unknown section",
    "A section has a name that the runtime does not know, or a key stands outside of every section. "
    "Nothing in a file is ever ignored: correct the name, or remove it.",
)
UNKNOWN_KEY = define(
    "TSK201",
    "unknown key",
    "A key is not one of those that its section or declaration takes. Correct the name, or remove the key.",
)
MISSING_KEY = define("TSK202", "missing key", "A declaration lacks a key that it cannot do without.")
WRONG_TYPE = define(
    "TSK203",
    "wrong kind of value",
    "A key was given a text where it takes a map, a list where it takes a number, and so on.",
)
NOTHING_DECLARED = define(
    "TSK207",
    "nothing declared",
    "The file has no section at all. It is an error, so that a save that is caught half-way, while the file "
    "is empty, changes nothing.",
)
NOT_A_CHOICE = define(
    "TSK204", "not one of the choices", "A key takes one of a few words, and was given another."
)
BAD_NAME = define(
    "TSK205",
    "a name that cannot be used",
    "Projections and columns become tables and columns: their names match `[a-z_][a-z0-9_]*`. Events, "
    "commands, aggregates, queries, consumers, types and fields take letters, digits and `_`, and begin with "
    "a letter. "
    "Some names are taken: those of the built-in types, `aggregate_id` as a field, `cursor` and `limit` as "
    "parameters. A category that is published to Kafka is a topic there: the name of a topic takes letters, "
    "digits, `.`, `_` and `-`, at most 249. The headers of a message have names, too, and some are the "
    "runtime's alone.",
)
BAD_VALUE = define(
    "TSK206",
    "a value that cannot be",
    "A number, a size, an address or a duration is malformed, too small or too large.",
)
CONTRADICTION = define(
    "TSK208",
    "two places that contradict each other",
    "Some keys of two sections say the same of one thing. Where both are written, they must agree.",
)

UNDECLARED_EVENT = define("TSK300", "unknown event", "An event is used that no `[events]` declares.")
UNDECLARED_AGGREGATE = define(
    "TSK301", "unknown aggregate", "An aggregate is named that no `[aggregates.*]` declares."
)
UNDECLARED_COMMAND = define(
    "TSK302",
    "unknown command",
    "A test, or what sends a command, names one that no `[commands.*]` declares.",
)
UNDECLARED_PROJECTION = define(
    "TSK303", "unknown projection", "A projection is named that no `[projections.*]` declares."
)
UNDECLARED_QUERY = define("TSK304", "unknown query", "A test names a query that no `[queries.*]` declares.")
UNDECLARED_CATEGORY = define(
    "TSK309", "unknown category", "`[kafka_config] topics` names a category that nothing declares."
)
UNDECLARED_COLUMN = define("TSK305", "unknown column", "A column is named that the projection does not have.")
UNDECLARED_FIELD = define(
    "TSK306", "unknown field", "A field is named that the event, the command or the state does not have."
)
SAME_NAME = define(
    "TSK307",
    "a name used twice",
    "No command is named as an event, no projection as an aggregate; an event is in one category only, and "
    "no two consumers have one group.",
)
TYPE_CYCLE = define("TSK308", "a type that contains itself", "Types nest, but never recurse.")
BAD_MACHINE = define(
    "TSK310",
    "not a state machine",
    "`machine` names a state field of enum type; `from` of the commands names values of that enum, and must "
    "leave the command a state in which it can run.",
)
UNHANDLED_EVENT = define(
    "TSK311",
    "an emitted event that its aggregate does not apply",
    "A command emits an event that its aggregate's `on` does not name: the state would not notice it. "
    "Name it there, with `{}` if nothing changes.",
)
STATE_NOT_SET = define(
    "TSK312",
    "a state field that may not be set",
    "A state field without `?` and without a default must be set by every event that can come first, and no "
    "command that may create the aggregate can read it.",
)
NO_SOURCE = define(
    "TSK313",
    "a field without a source",
    "A field of an emitted event is filled from the command's field of the same name, if `data` does "
    "not name it; one of a command that a consumer sends, from the event's or the message's, if `with` does "
    "not. There is none, or it does not fit.",
)
NO_TARGET = define(
    "TSK314",
    "a command without a target",
    "A command must find its aggregate: by `id`, or by the `aggregate_id` that the caller gives; one that "
    "may create gets a new uuid otherwise, which the aggregate's `id` must be able to hold. One that a "
    "consumer sends goes to the aggregate of the event, if it is of that type, where `with` holds no "
    "`aggregate_id`; a message is of no aggregate.",
)
COLUMN_NOT_SET = define(
    "TSK315",
    "a column that is not set",
    "Every `insert` and `upsert` sets each column that is neither optional nor has a default.",
)
NO_KEY = define(
    "TSK316",
    "an operation without its row",
    "An operation of a projection must say which row it is about. `insert` and `upsert` take the key from "
    "their own map, else from `where`, else (a single key) it is the aggregate's id; `update` and `delete` "
    "take the rows of `where`, else that row. Keys never change and are never null.",
)
BAD_WHERE = define(
    "TSK317",
    "a condition that cannot be",
    "A `where` names an operator that does not exist, or one that does not fit the column.",
)
BAD_QUERY = define("TSK318", "a query that cannot be answered", "The keys of a query contradict each other.")
UPCAST_VERSION = define(
    "TSK319",
    "a step of an upcast that leads nowhere",
    "The steps of `upcast` are numbered by the version that each begins at: step 1 leads from version 1 to "
    "2, and the last one to the declared `version`. There is none from that version on, and none where no "
    "`version` is declared.",
)
UPCAST_FIELD = define(
    "TSK320",
    "an upcast to a field that the event does not have",
    "What the last step of an upcast adds, sets, or gives a new name is a field of the declared event: "
    "anything else would be dropped.",
)
UPCAST_TWICE = define(
    "TSK321",
    "an upcast that contradicts itself",
    "Within one step a field is renamed or removed, not both, and no two fields get one name. A field whose "
    "name another one gets is gone already, and is not removed.",
)
UPCAST_PERSONAL = define(
    "TSK322",
    "personal data that an upcast lays open",
    "A field that becomes one marked `pii` holds personal data in every version, and so does what a step "
    "computes from it: it goes only into fields that are marked, too.",
)
OLDER_NAME = define(
    "TSK323",
    "an older name that is taken",
    "`was` is the name that the event had once: no event has it now, and no two events had it.",
)
WRONG_ID = define(
    "TSK330",
    "an id that is no UUID",
    'With `aggregate_id: "uuid"` in `[event_structure]` the ids of all aggregates are UUIDs.',
)
NOT_PUBLISHED = define(
    "TSK331",
    "a topic that an event is not published to",
    "With `streaming: kafka` a consumer that names `topics` gets its events from them: each event of its "
    "`on` is of a published category, whose topic is among them. One that names none reads the topics of "
    "its events if all of them are published, else the log.",
)
UNUSED = define(
    "TSK350",
    "an event that nothing uses",
    "No command emits an event, and no aggregate, projection or other handler names it.",
)
CATEGORY_UNDECLARED = define(
    "TSK351",
    "an event only named in a category",
    "`[event_categories]` names an event that `[events]` does not declare: its data is taken as json.",
)

NEVER_EMITTED = define(
    "TSK352",
    "an event that nothing emits",
    "An event is handled or published, and no command emits it: what waits for it waits for ever.",
)
FOREIGN_EVENT = define(
    "TSK353",
    "an event that its aggregate never gets",
    "An aggregate's `on` names an event that only commands of other aggregates emit. An aggregate is folded "
    "from its own events; to follow those of others, a projection or a consumer handles them.",
)
NEVER_CREATED = define(
    "TSK354",
    "an aggregate that nothing creates",
    "All commands of an aggregate need it to exist, or those that may create it emit nothing. A command "
    "creates where it says so (`creates`), or where `from` is only the machine's initial state.",
)
NEVER_PERMITTED = define(
    "TSK355",
    "a command that no state permits",
    "The aggregate is never in one of the states of `from`, followed from its initial state through all "
    "events that its commands emit. A state set by an expression may be any.",
)
STATE_UNREACHED = define(
    "TSK356",
    "a state that is never reached",
    "No event that a command emits sets this value of the machine.",
)
STATE_NOT_LEFT = define(
    "TSK357",
    "a state that is never left",
    "`from` of a command names the state, so it is not meant as an end; but none of the commands that can "
    "run in it emits an event.",
)
NEVER_ASKED = define("TSK358", "a projection that no query reads", "Its rows are kept, and nobody sees them.")
NEVER_FILLED = define(
    "TSK359",
    "a projection that stays empty",
    "`update` and `delete` change rows that are there; only `insert` and `upsert` add one.",
)
UNUSED_INDEX = define(
    "TSK360",
    "an index that no query uses",
    "No query of the projection names the index's first column in `where`, `search` or `order_by`, and no "
    "operation in its `where`. An index that helps nothing still costs time at each write.",
)
UNUSED_PARAMETER = define(
    "TSK361", "a parameter that nothing uses", "A caller can give it, and the answer is the same."
)
UNREAD_FIELD = define(
    "TSK362",
    "a field of a command that nothing reads",
    "It fills no field of an emitted event, and no expression of the command reads it.",
)
NEVER_SET = define(
    "TSK363",
    "a column that is never set",
    "No operation of the projection names the column, so that it holds its default, or null, in every row.",
)
UNUSED_TYPE = define("TSK364", "a type that nothing uses", "No field and no other type has this type.")
ENDLESS_LOOP = define(
    "TSK365",
    "a loop that nothing ends",
    "An event makes a consumer, a saga or a stream send a command, which emits an event, and so on until the "
    "first event comes again, for ever. A loop is told unless something on its way may end it: `when` or "
    "`for_each` beside `send` or `emit`, `where`, `having`, `group_by` or `join` of a stream, `allow`, "
    "`require` or `from` of a command, a command that creates an aggregate which exists by then, or a saga, "
    "which begins once for an aggregate.",
)
GROUP_UNDECLARED = define(
    "TSK366",
    "a consumer group without a consumer",
    "`[kafka_config] consumer_groups` names the groups that are expected. A consumer's group is its `group`, "
    "or its name.",
)
UNREACHED_RULE = define(
    "TSK367",
    "a rule that is never asked",
    "The first rule of `accept` that fits takes a message. One behind a rule for the same topic, or for any, "
    "that has no `when` gets none.",
)
UNUSED_TOPIC = define(
    "TSK368",
    "a topic that nothing is taken from",
    "A consumer reads a topic to which no event of its `on` is published, and whose messages no rule of "
    "`accept` takes.",
)

BAD_TEST = define(
    "TSK600",
    "a test that cannot run",
    "A `[tests.*]` names something that is not declared, or gives what its place does not take.",
)

NOT_YET = define(
    "TSK900",
    "not available yet",
    "The language has this section, key or value, but this version of the runtime does not build it yet. It "
    "is refused by name, never ignored.",
)
