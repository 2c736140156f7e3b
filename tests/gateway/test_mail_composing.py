"""What a letter becomes: every kind has its template, and nothing typed becomes header or link."""

import io
import re
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP
from html.parser import HTMLParser
from importlib import resources
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.config import load
from gateway.errors import ConfigError
from gateway.mail.backends import Console
from gateway.mail.composing import Composer, Message, UnusableAddress
from gateway.mail.settings import MailConfig
from ledger.mail.kinds import KINDS
from ledger.mail.outbox import Letter

HOME = "https://convert.example"
LINK = f"{HOME}/link/eph_link_0123456789?a=1&b=2"
WHEN = "2026-11-20T12:00+00:00"
COMPOSER = Composer(MailConfig(sender="Ephemera <no-reply@convert.example>"), HOME)
SPECIAL = {
    "link": LINK,
    "at": WHEN,
    "until": WHEN,
    "expires_at": WHEN,
    "due": WHEN,
    "change": "off",
}
# What a mail client would load or run without being asked.
ACTIVE = {"img", "script", "link", "iframe", "object", "embed", "form", "input", "style", "video"}


def letter(kind: str, to: str = "ada@example.org", **fields: str) -> Letter:
    every = {name: SPECIAL.get(name, f"the {name}") for name in KINDS[kind].fields}
    return Letter(
        id=UUID(int=7),
        kind=kind,
        to=to,
        fields=every | fields,
        attempts=1,
        created_at=datetime(2026, 11, 20, 12, tzinfo=UTC),
        expired=False,
    )


def received(message: Message) -> EmailMessage:
    """As whoever gets it reads it."""
    return message_from_bytes(message.mail.as_bytes(), policy=SMTP)


def part(message: Message, subtype: str) -> str:
    body = received(message).get_body((subtype,))
    assert body is not None
    return str(body.get_content()).replace("\r\n", "\n")


class Tags(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.links: list[str | None] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.links += [value for name, value in attributes if name in {"href", "src", "action"}]

    def handle_data(self, data: str) -> None:
        self.text += data + " "


def test_every_kind_has_a_template_and_every_template_a_kind() -> None:
    names = {one.name for one in resources.files("gateway.mail").joinpath("templates").iterdir()}
    layouts = {"layout.txt.jinja", "layout.html.jinja"}
    assert names - layouts == {f"{kind}.jinja" for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_says_the_same_in_text_and_in_html(kind: str) -> None:
    filled = {name: SPECIAL.get(name, f"the {name}") for name in KINDS[kind].optional}
    for optional in ({}, filled):
        message = COMPOSER.compose(letter(kind, **optional))
        html = Tags(part(message, "html")).text
        assert set(re.findall(r"\w+", message.text)) <= set(re.findall(r"\w+", html))


@pytest.mark.parametrize("kind", KINDS)
def test_no_mail_loads_anything_or_leads_anywhere_but_to_its_link(kind: str) -> None:
    filled = {name: SPECIAL.get(name, "x") for name in KINDS[kind].optional}
    html = Tags(part(COMPOSER.compose(letter(kind, **filled)), "html"))
    assert html.tags & ACTIVE == set()
    assert set(html.links) <= {LINK}


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_that_a_kind_asks_for_is_said_or_decides(kind: str) -> None:
    before = COMPOSER.compose(letter(kind))
    for name in KINDS[kind].fields:
        other = {"link": f"{HOME}/other", "change": "on"}.get(name, "2027-01-01T00:00+00:00")
        after = COMPOSER.compose(letter(kind, **{name: other}))
        assert (before.text, before.mail["Subject"]) != (after.text, after.mail["Subject"]), name


def test_the_headers_are_those_of_a_machine_and_the_same_at_every_attempt() -> None:
    first, second = (COMPOSER.compose(letter("verify")).mail for _ in range(2))
    headers = {
        "From": "Ephemera <no-reply@convert.example>",
        "To": "ada@example.org",
        "Subject": "Confirm your e-mail address",
        "Date": "Fri, 20 Nov 2026 12:00:00 +0000",
        "Message-ID": f"<{UUID(int=7)}@convert.example>",
        "Auto-Submitted": "auto-generated",
        "List-Id": "<verify.mail.convert.example>",
        "X-Auto-Response-Suppress": "All",
    }
    for name, value in headers.items():
        assert str(first[name]) == str(second[name]) == value


HOSTILE = st.text(
    alphabet=st.characters(codec="utf-8") | st.sampled_from("\r\n\0\u202e\u2028\x1b<>&\"'.:/@"),
    max_size=80,
)


@settings(max_examples=30)
@given(text=HOSTILE)
def test_nothing_that_people_type_becomes_a_header_or_markup(text: str) -> None:
    message = COMPOSER.compose(
        letter("contact_message", ticket=f"T-1{text}", subject=f"Hi{text}\r\nBcc: eve@example.org")
    )
    mail = received(message)
    assert mail.keys() == received(COMPOSER.compose(letter("contact_message"))).keys()
    assert mail["Bcc"] is None
    assert str(mail["To"]) == "ada@example.org"
    html = Tags(part(message, "html"))
    assert html.tags & ACTIVE == set()
    assert html.links == []
    assert not set(part(message, "plain")) & set("\0\u202e\u2028\x1b")


def test_markup_in_a_name_is_a_name() -> None:
    message = COMPOSER.compose(letter("invitation", account='<img src="x">&{{ 7*7 }}'))
    assert '<img src="x">&{{ 7*7 }}' in message.text
    assert "img" not in Tags(part(message, "html")).tags


def test_an_address_in_a_name_is_no_link_for_any_program() -> None:
    message = COMPOSER.compose(letter("invitation", account="win at https://evil.example/now"))
    for text in (message.text, part(message, "html")):
        assert "evil" in text
        assert "https://evil" not in text
        assert "evil.example" not in text


@pytest.mark.parametrize(
    "link", ["javascript:alert(1)", "https://", "https://a b", 'https://a"b', "https://a\nb", "x"]
)
def test_what_is_no_link_is_not_sent_as_one(link: str) -> None:
    with pytest.raises(ValueError, match="no link"):
        COMPOSER.compose(letter("verify", link=link))


@pytest.mark.parametrize(
    "address",
    [
        *("ada", "@example.org", "ada@", "a b@example.org", "<ada@example.org>", "ada@[1.2.3.4]"),
        *("ada@example.org, eve@example.org", "ada@exa\nmple.org", "a\0@example.org", 'a"@b.org'),
        *("ada@" + "a" * 64 + ".org", "ada@-example.org", "ada@example..org", "ada@exam ple.org"),
    ],
)
def test_what_no_mail_server_would_take_is_refused(address: str) -> None:
    with pytest.raises(UnusableAddress):
        COMPOSER.compose(letter("verify", to=address))


def test_a_domain_in_other_letters_is_written_as_servers_take_it() -> None:
    assert COMPOSER.compose(letter("verify", to="ada@bücher.example")).to == (
        "ada@xn--bcher-kva.example"
    )


def test_a_message_that_somebody_wrote_keeps_its_lines() -> None:
    message = COMPOSER.compose(letter("ticket_answered", message="Dear Ada,\n\nit is <fixed>.\n"))
    assert "> Dear Ada,\n>\n> it is <fixed>.\n" in message.text
    assert "Dear Ada,<br>\n<br>\nit is &lt;fixed&gt;." in part(message, "html")


class Terminal(io.StringIO):
    def __init__(self, *, terminal: bool) -> None:
        super().__init__()
        self.terminal = terminal

    def isatty(self) -> bool:
        return self.terminal


@pytest.mark.parametrize(
    ("terminal", "always", "printed"),
    [(True, False, True), (False, False, False), (False, True, 1)],
)
async def test_the_console_shows_links_to_a_terminal_alone(
    terminal: bool, always: bool, printed: bool
) -> None:
    stream = Terminal(terminal=terminal)
    failure = await Console(stream, always=always).send(COMPOSER.compose(letter("verify")))
    assert (failure is None) == (LINK in stream.getvalue()) == bool(printed)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"backend": "smtp"}, "mail.host"),
        ({"sender": "nobody"}, "mail.sender"),
        ({"sender": "a@b.c\r\nBcc: d@e.f"}, "mail.sender"),
        ({"support": "x y"}, "mail.support"),
        ({"host": "mx.example", "security": "none"}, "in the clear"),
        ({"host": "localhost", "security": "none", "username": "x"}, "in the clear"),
        ({"backend": "smpt"}, "one of"),
    ],
)
def test_settings_with_which_no_mail_could_be_sent_stop_the_boot(
    wrong: dict[str, str], said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        load({"EPHEMERA_HOME": "/x"}, None, {("mail", name): wrong[name] for name in wrong})


def test_a_relay_on_this_machine_needs_no_encryption() -> None:
    given = {"host": "127.0.0.1", "security": "none", "backend": "smtp"}
    loaded = load({"EPHEMERA_HOME": "/x"}, None, {("mail", name): given[name] for name in given})
    assert loaded.mail.security == "none"
