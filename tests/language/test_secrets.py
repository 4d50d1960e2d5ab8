"""What is secret is hidden wherever values are shown."""

from __future__ import annotations

import pytest

from tusk_runtime.language.diagnostics import Problems
from tusk_runtime.language.document import Document
from tusk_runtime.language.load import load_text
from tusk_runtime.language.secrets import is_secret_key, leaves, masked


def load(text: str, **environment: str) -> Document:
    problems = Problems()
    document = load_text(text, "app.tsk", environment, problems)
    assert list(problems) == []
    return document


@pytest.mark.parametrize(
    "key",
    [
        "password",
        "db_password",
        "DB_PASSWORD",
        "dbPassword",
        "jwt_secret",
        "api_key",
        "apiKey",
        "api-key",
        "access_token",
        "tokens",
        "private_key",
        "credentials",
        "client_secret",
        "encryption_key",
    ],
)
def test_a_key_is_secret_by_its_name(key: str) -> None:
    assert is_secret_key(key)


@pytest.mark.parametrize(
    "key",
    [
        "password_min_length",
        "secrets_backend",
        "secret_rotation",
        "key",
        "primary_key",
        "public_key",
        "tokenizer",
        "monkey",
        "hockey",
        "token_ttl",
        "host",
    ],
)
def test_other_keys_are_not(key: str) -> None:
    assert not is_secret_key(key)


def test_secrets_are_hidden_by_operator_by_key_and_in_urls() -> None:
    document = load(
        "$key: @env.secure('KEY')\n"
        '[a]\nfirst: $key\ntext: "Bearer ${key}"\nsum: "x" + $key\nchosen: true ? $key : 1\n'
        'password: "open"\ntokens: ["a", "b"]\nempty_secret: ""\nis_secret: true\nsecret: "{{ data.x }}"\n'
        "url: \"postgres://user:@env('PW')@host/db\"\nhost: \"h\"\nmap: { api_key: 'x' }\n"
        '[types]\nT: { token: "string" }\n[events]\nE: { fields: { password: "string pii?" } }\n',
        KEY="hidden",
        PW="pw",
    )
    tree = masked(document.root)
    assert tree == {
        "$key": "***",
        "a": {
            "first": "***",
            "text": "***",
            "sum": "***",
            "chosen": "***",
            "password": "***",
            "tokens": ["***", "***"],
            "empty_secret": "",
            "is_secret": True,
            "secret": "{{ data.x }}",
            "url": "postgres://user:***@host/db",
            "host": "h",
            "map": {"api_key": "***"},
        },
        "types": {"T": {"token": "string"}},
        "events": {"E": {"fields": {"password": "string pii?"}}},
    }
    assert "hidden" not in str([leaf.value for leaf in leaves(document.root)])
    assert document.plain()["a"]["first"] == "hidden"


def test_leaves_have_their_paths_and_places() -> None:
    found = [
        (leaf.path, str(leaf.span), leaf.value)
        for leaf in leaves(load("[a]\nx: [1, { y: 2 }]\nz: {}\n").root)
    ]
    assert found == [
        ("a.x[0]", "app.tsk:2:5", 1),
        ("a.x[1].y", "app.tsk:2:10", 2),
        ("a.z", "app.tsk:3:4", {}),
    ]
