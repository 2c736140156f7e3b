"""A letter of the outbox into a message: pure, and where nothing foreign becomes a header.

What people typed (names, labels, subjects) reaches a mail as text alone. Control characters and
those that turn the direction of writing are taken out, addresses in names are kept from becoming
links, HTML is escaped, and a header is made of an address or a sentence of ours by the standard
library, which refuses line ends.
"""

import re
import unicodedata
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from urllib.parse import urlsplit

import jinja2
import msgspec

from gateway.mail.marks import HtmlMarks, Marks, TextMarks, moment
from gateway.mail.settings import MailConfig, mailbox
from ledger.mail.kinds import KINDS, MULTILINE
from ledger.mail.outbox import Letter

LINK_FIELDS = frozenset({"link"})
# Typed by somebody who may wish to have us send their advertisements.
NAME_FIELDS = frozenset({"account", "by", "label", "client", "reason", "subject"})
# RFC 5322's limit is 998 octets a line; a subject that is read has less.
_SUBJECT_CHARS_MAX = 150
_LINK = re.compile(r"https?://[!#-;=?-~]+")
_LOCAL_PART = re.compile(r"[^\s@<>\"(),:;\[\]\\\x00-\x20\x7f]{1,64}")
_DOMAIN = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")
# Joins Arabic and Indic letters, and emoji; the other format characters reorder or hide.
_JOINERS = frozenset("\u200c\u200d")
# Invisible, and no part of any address.
_WORD_JOINER = "\u2060"


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """A mail that is ready to go."""

    kind: str
    # The one address it goes to, as a mail server takes it.
    to: str
    mail: EmailMessage
    # Its plain text, and the link in it, for whoever prints it.
    text: str
    link: str | None

    def __repr__(self) -> str:
        return f"Message(kind={self.kind!r})"


class UnusableAddress(ValueError):
    """No mail server would take this address."""


class Composer:
    """Writes messages. One for a process; its templates are read once."""

    def __init__(self, config: MailConfig, home_url: str) -> None:
        """Take the operator's settings and the address of the service for links."""
        self._sender = mailbox("sender", config.sender)
        self._reply_to = mailbox("reply_to", config.reply_to) if config.reply_to else None
        service = self._sender.display_name or "Ephemera"
        # What the templates call `service` and `home`.
        said = {"service": service, "home": home_url}
        self._text = _templates(TextMarks(), "layout.txt.jinja", said, escape=False)
        self._html = _templates(HtmlMarks(), "layout.html.jinja", said, escape=True)

    def compose(self, letter: Letter) -> Message:
        """Write it. Raises UnusableAddress, and jinja2.TemplateError or ValueError for bad fields.

        The same letter is the same message, so that a receiver who gets it twice can see it.
        """
        to = _recipient(letter.to)
        optional = KINDS[letter.kind].optional
        fields = dict.fromkeys(optional, "") | {
            name: cleaned(name, text) for name, text in letter.fields.items()
        }
        template = f"{letter.kind}.jinja"
        text = _tidy(self._text.get_template(template).render(fields))
        mail = EmailMessage(policy=SMTP)
        mail["From"] = self._sender
        mail["To"] = to
        mail["Subject"] = self._subject(template, fields)
        mail["Date"] = letter.created_at
        mail["Message-ID"] = f"<{letter.id}@{self._sender.domain}>"
        # RFC 3834: no vacation notice answers this. The third is what Exchange listens to.
        mail["Auto-Submitted"] = "auto-generated"
        mail["List-Id"] = f"<{letter.kind.replace('_', '-')}.mail.{self._sender.domain}>"
        mail["X-Auto-Response-Suppress"] = "All"
        if self._reply_to is not None:
            mail["Reply-To"] = self._reply_to
        mail.set_content(text, cte="quoted-printable")
        html = self._html.get_template(template).render(fields)
        mail.add_alternative(html, subtype="html", cte="quoted-printable")
        return Message(
            kind=letter.kind,
            to=to.addr_spec,
            mail=mail,
            text=text,
            link=fields.get("link") or None,
        )

    def _subject(self, template: str, fields: dict[str, str]) -> str:
        """The template's block `subject`, in one line."""
        loaded = self._text.get_template(template)
        said = "".join(loaded.blocks["subject"](loaded.new_context(fields)))
        return " ".join(said.split())[:_SUBJECT_CHARS_MAX]


def cleaned(name: str, text: str) -> str:
    """A field's text without what is no text. Raises ValueError for a link that is none."""
    if name in LINK_FIELDS:
        if text and not (_LINK.fullmatch(text) and urlsplit(text).hostname):
            raise ValueError(f"the field {name} of a mail is no link")
        return text
    kept = "".join(
        char if _is_text(char, multiline=name in MULTILINE) else " "
        for char in text.replace("\r\n", "\n")
    )
    if name in NAME_FIELDS:
        return re.sub(r"([.:])(?=[^\W\d_]|//)", rf"\1{_WORD_JOINER}", kept)
    return kept


def _is_text(char: str, *, multiline: bool) -> bool:
    if char == "\n":
        return multiline
    category = unicodedata.category(char)
    return char in _JOINERS or not (category[0] == "C" or category in {"Zl", "Zp"})


def _recipient(address: str) -> Address:
    """The address as a mail server takes it: the domain in ASCII. Raises UnusableAddress."""
    local, _, domain = address.strip().rpartition("@")
    try:
        ascii_domain = domain.encode("idna").decode("ascii")
    except UnicodeError as error:
        raise UnusableAddress from error
    if not _LOCAL_PART.fullmatch(local) or not _DOMAIN.fullmatch(ascii_domain):
        raise UnusableAddress
    try:
        return Address(username=local, domain=ascii_domain)
    except Exception as error:  # its parser raises errors of many kinds
        raise UnusableAddress from error


def _templates(
    marks: Marks, layout: str, said: dict[str, str], *, escape: bool
) -> jinja2.Environment:
    templates = jinja2.Environment(
        loader=jinja2.PackageLoader("gateway.mail", "templates"),
        undefined=jinja2.StrictUndefined,
        # Plain text has nothing to escape; the other one always does.
        autoescape=escape,  # noqa: S701  # nosec B701
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    templates.globals.update(
        layout=layout,
        paragraph=marks.paragraph,
        button=marks.button,
        facts=marks.facts,
        quote=marks.quote,
        **said,
    )
    templates.filters["moment"] = moment
    return templates


def _tidy(text: str) -> str:
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"
