"""E-mails by SMTP: what is sent, by whom, how often, and what becomes of each answer."""

from __future__ import annotations

import shutil
import ssl
import subprocess
import threading
from collections.abc import AsyncIterator
from datetime import timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import orjson
import pytest
from apps import ACCOUNT, application
from smtp_server import SmtpServer
from support import missing

from tusk_runtime.clock import VirtualClock
from tusk_runtime.consumers import smtp
from tusk_runtime.events import Caller
from tusk_runtime.running.backends import memory_store
from tusk_runtime.running.runtime import Runtime
from tusk_runtime.store.deliveries import Letter

ANN = Caller("ann", (), None)
WELCOME = 'on: { Opened: { email: { to: "ann@example.org", subject: "Hello {{ data.owner }}", text: "It is {{ now }}.\\n.\\nBye é" } } }'


class Stage:
    """A runtime with one consumer, `Mailer`, and the server that it sends by."""

    def __init__(self, server: SmtpServer) -> None:
        self.server = server
        self.clock = VirtualClock(1_000_000)
        self.store = memory_store()
        self.runtime: Runtime

    async def start(
        self, consumer: str, settings: str = "tls: none", *, host: str = "127.0.0.1", publishing: bool = True
    ) -> None:
        text = (
            f'{ACCOUNT}\n[email]\nsmtp: "{host}:{self.server.port}"\nfrom: "Bänk <bank@example.com>"\n{settings}\n'
            f'[consumers.Mailer]\nretry: {{ attempts: 3, delay: "10s", backoff: "fixed", jitter: false }}\n{consumer}\n'
        )
        self.runtime = Runtime(application(text), self.store, self.clock, publishing=publishing)
        await self.runtime.start()

    async def open(self, account: str = "a", owner: str = "ann") -> None:
        await self.runtime.execute("Open", {"owner": owner}, aggregate_id=account, caller=ANN)
        await self.runtime.settle()

    async def passes(self, seconds: float) -> None:
        self.clock.advance(timedelta(seconds=seconds))
        await self.runtime.settle()

    async def letters(self) -> list[Letter]:
        return list(await self.store.deliveries.letters("Mailer"))

    async def told(self) -> tuple[str, str]:
        (letter,) = await self.letters()
        return letter.standing, orjson.loads(letter.error)["message"]


@pytest.fixture
async def stage(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stage]:
    monkeypatch.setattr("smtplib.socket.getfqdn", lambda *_: "here.example.com")  # asks the network otherwise
    server = SmtpServer()
    await server.start()
    stage = Stage(server)
    yield stage
    await stage.runtime.stop()
    await server.stop()


@pytest.fixture
def certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """A certificate of localhost that this process trusts."""
    if shutil.which("openssl") is None:
        missing("NO OPENSSL: encryption is NOT tested here")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout", "key.pem", "-out", "cert.pem",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"],
        check=True, capture_output=True, cwd=tmp_path,
    )  # fmt: skip
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    return context


async def test_an_email_says_what_the_file_says(stage: Stage) -> None:
    """With an id and a date of its own; a line with a point alone does not end it."""
    await stage.start(WELCOME)
    await stage.open(owner="Änn")
    (given,) = stage.server.given
    message = given.message
    assert (given.sender, given.to, given.user) == ("bank@example.com", ("ann@example.org",), "")
    assert (message["From"], message["To"]) == ("Bänk <bank@example.com>", "ann@example.org")
    assert message["Subject"] == "Hello Änn"
    assert message.get_content().replace("\r\n", "\n") == "It is 1970-01-01T00:00:01Z.\n.\nBye é\n"
    assert message["Date"] == "Thu, 01 Jan 1970 00:00:01 +0000"
    assert message["Message-ID"].endswith("@example.com>")
    assert message["Auto-Submitted"] == "auto-generated"
    assert await stage.letters() == []


async def test_several_get_one_email(stage: Stage) -> None:
    """Each once; a `for_each` sends several e-mails, each with another id."""
    await stage.start(
        "on: { Opened: ["
        '{ email: { to: ["ann@example.org", "bob@example.org", "ann@example.org"], subject: "x", text: "x" } },'
        '{ email: { to: "{{ a }}@example.org", subject: "x", text: "x" }, for_each: "{{ [\'c\', \'d\'] }}", as: "a" }] }'
    )
    await stage.open()
    assert [given.to for given in stage.server.given] == [
        ("ann@example.org", "bob@example.org"),
        ("c@example.org",),
        ("d@example.org",),
    ]
    assert len({given.message["Message-ID"] for given in stage.server.given}) == 3


@pytest.mark.parametrize("command", ["CONNECT", "EHLO", "MAIL", "RCPT", "DATA", "."])
async def test_what_may_work_later_is_tried_again(stage: Stage, command: str) -> None:
    """By the clock, with the same id, until it is taken."""
    stage.server.answers = {command: "421 later" if command == "CONNECT" else "451 later"}
    await stage.start(WELCOME)
    await stage.open()
    standing, message = await stage.told()
    assert standing == "retry"
    assert "later" in message
    stage.server.answers = {}
    await stage.passes(10)
    assert (len(stage.server.given), await stage.letters()) == (1, [])


@pytest.mark.parametrize("command", ["MAIL", "RCPT", "DATA", "."])
async def test_a_final_answer_parks(stage: Stage, command: str) -> None:
    """The letter says the answer, without whose address it was."""
    stage.server.answers = {command: "550 no ann@example.org\t here"}
    await stage.start(WELCOME)
    await stage.open()
    await stage.passes(100)
    assert await stage.told() == ("parked", "the server of e-mails answered 550: no *** here")
    assert stage.server.given == []


@pytest.mark.parametrize(("answer", "standing"), [("550 nobody", "parked"), ("450 busy", "retry")])
async def test_one_of_several_is_refused(stage: Stage, answer: str, standing: str) -> None:
    """It is told, though the others have it; where that is repeated, they get it again with the same id."""
    stage.server.answers = {"RCPT bob@example.org": answer}
    await stage.start(WELCOME.replace('"ann@example.org"', '["ann@example.org", "bob@example.org"]'))
    await stage.open()
    assert (await stage.told())[0] == standing
    stage.server.answers = {}
    await stage.passes(10)
    ids = [(given.message["Message-ID"], given.to) for given in stage.server.given]
    assert ids[0][1] == ("ann@example.org",)
    assert len({id_ for id_, _ in ids}) == 1
    assert len(ids) == (2 if standing == "retry" else 1)


async def test_of_several_answers_the_one_that_may_change_counts(stage: Stage) -> None:
    """Whom the server may take later is not lost for one whom it never takes."""
    stage.server.answers = {"RCPT ann@example.org": "550 nobody", "RCPT bob@example.org": "450 busy"}
    await stage.start(WELCOME.replace('"ann@example.org"', '["ann@example.org", "bob@example.org"]'))
    await stage.open()
    assert await stage.told() == ("retry", "the server of e-mails answered 450: busy")


async def test_silence_of_the_server_is_tried_again(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """And so is one that is not there; other aggregates wait for neither."""
    monkeypatch.setattr(smtp, "SILENCE_SECONDS", 0.05)
    stage.server.answers = {"CONNECT": ""}
    await stage.start(WELCOME)
    await stage.open()
    standing, message = await stage.told()
    assert standing == "retry"
    assert message.endswith("timed out")
    await stage.server.stop()
    await stage.passes(10)
    assert "refused" in (await stage.told())[1]
    stage.server.answers = {}
    await stage.server.start()
    await stage.open("b")
    assert len(stage.server.given) == 1
    await stage.passes(10)
    assert (len(stage.server.given), await stage.letters()) == (2, [])


async def test_what_was_taken_is_not_sent_again_for_a_bad_end(stage: Stage) -> None:
    """The server has it, though it does not answer the good-bye."""
    stage.server.answers = {"QUIT": ""}
    await stage.start(WELCOME)
    await stage.open()
    assert (len(stage.server.given), await stage.letters()) == (1, [])


async def test_data_makes_no_headers(stage: Stage) -> None:
    """A line break in a subject is parked: what stands behind it would be another header."""
    await stage.start(WELCOME)
    await stage.open(owner="ann\r\nBcc: eve@example.org")
    assert await stage.told() == ("parked", "the subject holds a character that none may hold")
    assert stage.server.given == []


async def test_nothing_is_sent_in_the_open_where_encryption_is_asked_for(stage: Stage) -> None:
    """A server without STARTTLS is refused for good."""
    await stage.start(WELCOME, "")
    await stage.open()
    standing, message = await stage.told()
    assert (standing, stage.server.given) == ("parked", [])
    assert "STARTTLS" in message


@pytest.mark.parametrize("tls", ["starttls", "ssl"])
async def test_encrypted_it_signs_in(stage: Stage, certificate: ssl.SSLContext, tls: str) -> None:
    """With the password of the file, over a connection that its server is known by."""
    await stage.server.stop()
    stage.server.context, stage.server.password = certificate, "s3cret"
    await stage.server.start(encrypted=tls == "ssl")
    await stage.start(WELCOME, f"tls: {tls}\nuser: bank\npassword: s3cret", host="localhost")
    await stage.open()
    (given,) = stage.server.given
    assert (given.user, given.encrypted) == ("bank", True)


async def test_a_server_that_is_not_known_gets_nothing(stage: Stage, certificate: ssl.SSLContext) -> None:
    """Its certificate is of another host."""
    stage.server.context = certificate
    await stage.start(WELCOME, "", host="127.0.0.1")
    await stage.open()
    standing, message = await stage.told()
    assert (standing, stage.server.given) == ("retry", [])
    assert "certificate" in message


async def test_a_wrong_password_is_told_without_it(stage: Stage) -> None:
    """A server that repeats it does not bring it into the letter."""
    stage.server.password = "another"
    await stage.start(WELCOME, "tls: none\nuser: bank\npassword: s3cret")
    await stage.open()
    assert await stage.told() == ("parked", "the server of e-mails answered 535: *** is wrong")


def parts_of(message: EmailMessage) -> list[tuple[str, str]]:
    return [
        (part.get_content_type(), part.get_content().replace("\r\n", "\n"))
        for part in message.walk()
        if not part.is_multipart()
    ]


@pytest.mark.parametrize(
    ("says", "kind", "parts"),
    [
        ('text: "a"', "text/plain", [("text/plain", "a\n")]),
        ('html: "<p>a</p>"', "text/html", [("text/html", "<p>a</p>\n")]),
        (
            'html: "<p>{{ data.owner }}</p>", text: "{{ data.owner }}"',
            "multipart/alternative",
            [("text/plain", "<Änn>\n"), ("text/html", "<p>&lt;Änn&gt;</p>\n")],
        ),
        ("text: \"{% if data.owner == 'x' %}x{% endif %}\"", "text/plain", [("text/plain", "\n")]),
    ],
)
async def test_an_email_is_a_text_a_page_or_both(
    stage: Stage, says: str, kind: str, parts: list[tuple[str, str]]
) -> None:
    """What data brings into a page is escaped there, and nowhere else."""
    await stage.start(f'on: {{ Opened: {{ email: {{ to: "a@example.org", subject: "x", {says} }} }} }}')
    await stage.open(owner="<Änn>")
    (given,) = stage.server.given
    assert given.message.get_content_type() == kind
    assert parts_of(given.message) == parts


async def test_lines_are_written_for_each_element(stage: Stage) -> None:
    """Those of statements leave no empty ones; a loop of the action is seen, too."""
    await stage.start(
        'on:\n  Opened:\n    email:\n      to: "a@example.org"\n      subject: "x"\n      text: """\n'
        "        Hello {{ data.owner }},\n"
        "        {% for n in list %}\n"
        "          {{ loop.index }} of {{ loop.length }}: {{ n }}\n"
        "        {% else %}\n"
        "        nothing\n"
        "        {% endfor %}\n"
        '        """\n'
        '    for_each: "{{ [[1, 2], []] }}"\n    as: "list"'
    )
    await stage.open()
    texts = [given.message.get_content().replace("\r\n", "\n") for given in stage.server.given]
    assert texts == ["Hello ann,\n  1 of 2: 1\n  2 of 2: 2\n", "Hello ann,\nnothing\n"]


async def test_what_cannot_be_written_is_parked(stage: Stage) -> None:
    """With its place in the file, and without what the event says."""
    await stage.start(WELCOME.replace("It is {{ now }}.", "{{ data.owner + 1 }}"))
    await stage.open(owner="secret")
    standing, message = await stage.told()
    assert (standing, message) == ("parked", "only numbers can be calculated with; texts are joined by `~`")
    (letter,) = await stage.letters()
    assert orjson.loads(letter.error)["place"].startswith("test.tsk:")
    assert b"secret" not in letter.error


async def test_a_long_writing_holds_nobody_up(stage: Stage) -> None:
    """It is done in a thread: the application answers meanwhile."""
    await stage.start(
        'on: { Opened: { email: { to: "a@example.org", subject: "x", text: "{% for a in range(300) %}'
        '{% for b in range(300) %}{% if b * b * a < 0 %}{{ a }}{% endif %}{% endfor %}{% endfor %}x" } } }'
    )
    threads: set[str] = set()
    outside: Any = stage.runtime._outside
    work = outside.work

    async def watched(job: Any) -> Any:
        def seen() -> Any:
            threads.add(threading.current_thread().name)
            return job()

        return await work(seen)

    outside.work = watched
    await stage.open()
    assert len(stage.server.given) == 1
    assert [name.partition("_")[0] for name in threads] == ["outside"]


async def test_in_tests_no_email_leaves(stage: Stage) -> None:
    """It is only kept."""
    await stage.start(WELCOME, publishing=False)
    await stage.open()
    outside: Any = stage.runtime._outside
    assert [message.subject for message in outside.left] == ["Hello ann"]
    assert stage.server.given == []
