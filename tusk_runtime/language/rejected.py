"""The operators of other TuskLang runtimes, and what a declaration says instead of each."""

from __future__ import annotations

WRITING = frozenset({"write", "set", "append", "delete", "save", "put", "create", "move", "copy", "remove"})
"""What operators of files and data are called that change something."""

REJECTED_IN_TEXTS = frozenset({
    "query", "cache", "metrics", "shell", "php", "http", "graphql", "sql", "redis", "kafka", "learn",
    "optimize", "request", "session",
})  # fmt: skip
"""Those that are refused even within a quoted text; any other name there may be a text about something."""

_GROUPS: tuple[tuple[str, str], ...] = (
    (
        "query findall tusk_object tuskobject orm model",
        "read data at run time: `query('name', {…})` or `lookup('projection', key)` in a `{{ }}`",
    ),
    (
        "sql sqlite postgresql postgres mysql mariadb mongodb mongo database db transaction table",
        "a database belongs into `[event_store]` and `[store_config]`; read with a query, `[queries.name]`",
    ),
    (
        "cache cached memoize remember invalidate",
        "answers are cached by the `cache` key of a query, states by `[event_store] caching`",
    ),
    ("redis memcached etcd consul zookeeper", "Redis belongs into `[store_config]` under `redis:`"),
    (
        "metrics metric counter gauge histogram track alert monitor measure benchmark prometheus stats",
        "declare a metric: `[metrics.name]`",
    ),
    ("health healthcheck status uptime", "health is served by the runtime itself: remove it"),
    (
        "log logger logging trace tracing span debug audit notify",
        "what happens is logged by the runtime; a consumer has the `log` action",
    ),
    (
        "shell exec system command run php python javascript js node ruby go rust java csharp perl bash "
        "lambda "
        "function fn func call eval wasm script process spawn plugin component",
        "code is not run; the `call` action of a consumer names a Python function",
    ),
    (
        "http https fetch api rest graphql grpc webhook soap websocket url download upload request_http curl "
        "slack discord teams sms push github aws azure gcp s3 k8s kubernetes docker istio vault temporal",
        "a call belongs into a consumer or a saga: the `http` action",
    ),
    (
        "kafka nats amqp rabbitmq mqtt sqs pubsub queue publish subscribe broker event emit dispatch",
        "a broker belongs into `[kafka_config]`; commands emit events, and messages are sent by the "
        "`publish` "
        "action",
    ),
    (
        "email mail smtp",
        "a mail is sent by the `email` action of a consumer; its server belongs into `[email]`",
    ),
    (
        "learn optimize predict ml ai train infer classify analyze detect_anomaly recommend tune adapt "
        "model_predict",
        "a value that drifts would make a replay mean something else: write the number or text itself",
    ),
    (
        "random rand uuid generate_id faker fake factory nanoid ulid",
        "identifiers are made at run time: `uuid()` in a `{{ }}`; anything else by chance cannot be replayed",
    ),
    (
        "time timestamp now today clock",
        'the moment of the load is `@date("Y-m-d H:i:s")`; that of an event `{{ now }}`',
    ),
    (
        "request session cookie cookies user current_user params headers query_params post get form flash "
        "rails "
        "response geo device ip agent context router route",
        "who asks is known at run time: `meta.user_id`, `meta.roles`, `command` and `params` in a `{{ }}`",
    ),
    (
        "auth rbac abac acl permission permissions role roles can oauth oauth2 jwt multitenancy tenant saml",
        "who may do what is said by `roles` and `allow` of a command or query; who asks is `meta` in a "
        "`{{ }}`",
    ),
    (
        "math add subtract multiply divide modulo power sqrt abs round floor ceil sum avg average count "
        "max min "
        "median mean variance percentile std_dev calculate increment decrement number",
        "write the result; numbers of events are calculated at run time in a `{{ }}`",
    ),
    (
        "string concat join split trim substring substr replace upper lower uppercase lowercase format "
        "length "
        "sprintf index_of last_index_of normalize_whitespace sanitize slug capitalize regex match pad "
        "reverse text",
        'texts are joined by `+` or within one: `"… ${name} …"`; those of events are changed in a `{{ }}`',
    ),
    (
        "and or not equals not_equals eq ne gt lt gte lte when unless switch case contains is_empty "
        "is_not_empty "
        "exists is_null coalesce ternary iif compare greater_than less_than between",
        "conditions are written `a == b && !c`, a choice `condition ? a : b`",
    ),
    (
        "array list filter map reduce each sort unique first last slice flatten group_by pluck find range "
        "zip chunk",
        "write the list itself: `[a, b]`; lists of events are changed in a `{{ }}`: `[f(x) for x in list "
        "if c]`",
    ),
    (
        "object compose extend mixin merge assign keys values pick omit clone inherit",
        "write the map itself: `{ a: 1 }`; files are merged by `@import`",
    ),
    ("string_value", "write the text itself"),
    (
        "json yaml xml toml ini csv parse serialize deserialize base64 encode decode",
        "write the value itself: JSON is valid here; the text of a file is `@file('path')`",
    ),
    (
        "encrypt decrypt hash hmac crypto secret secure bcrypt sign verify certificate tls ssl",
        "a secret belongs into the environment: `@env.secure('X')`",
    ),
    (
        "validate validator rule rules required assert check schema",
        'a field is checked by its type: `"integer(min=1)"`, a command by its `require` rules',
    ),
    (
        "schedule cron every after delay timer timeout interval",
        "what runs by the clock is a `[schedules.name]`",
    ),
    ("stream window aggregate_stream watch", "what goes on over events is a `[streams.name]`"),
    (
        "saga workflow pipeline pipe step compensate transactional with_state with_context",
        "steps one after another are a saga, `[sagas.name]`",
    ),
    (
        "lazy async await parallel defer promise batch retry circuit_breaker fallback rate_limit throttle "
        "debounce",
        "the runtime decides when things are done: write the value itself",
    ),
    (
        "render template view html partial markdown layout",
        "texts are rendered by the `email` action: its `text` and `html`",
    ),
    ("var let global variable const ref", "a variable is defined as `$name: value`, and used as `$name`"),
    ("import include require use load extends", 'write `@import "other.tsk"` on a line of its own'),
    (
        "config settings env_var environment",
        "a key above is `$section.key`, a variable of the environment `@env('X')`",
    ),
    ("feature_flag flag flags features", "write `@feature('name', false)`, and the flags into `[features]`"),
)

REJECTED: dict[str, str] = {word: advice for words, advice in _GROUPS for word in words.split()}
"""Operators of other TuskLang runtimes, and what a declaration says instead."""
