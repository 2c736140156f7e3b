"""Mail, from the Internet (.eml) and from Outlook (.msg), as a draft: headers, text, pictures.

Pictures of a message are those that it brings; one that lies on a server is never asked for, since
asking would tell the sender that the message was read. Attachments are named, not opened.
"""

import email.policy
from collections.abc import Callable, Iterator
from email.message import EmailMessage, MIMEPart
from email.parser import BytesParser
from typing import Literal

import msgspec
import oxmsg

from engine.converter import Work
from engine.converters.document import pandoc
from engine.converters.document.pictures import Pictures
from engine.converters.document.plain import lines, read_plain
from engine.converters.document.reading import Draft
from engine.converters.document.tree import Element, Tree, paragraph, words
from engine.errors import SourceTooComplex, SourceUnreadable
from engine.job import Buffer

_STANDARD = ("From", "To", "Cc", "Date", "Subject")
# Lines that only machines read are many; a message with more than this is an attack on a header.
_HEADERS_MAX = 500
_PARTS_MAX = 2_000
_KIB = 1024
# [MS-OXPROPS] 2.599: under which name a picture in the text is referred to.
_CONTENT_ID = 0x3712

# What the parsers raise for a damaged message, found by cutting and mutating.
_DAMAGE = (
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    AssertionError,
    ArithmeticError,
    OSError,
    EOFError,
    RuntimeError,
)
_ENCRYPTED = frozenset(
    {"multipart/encrypted", "application/pkcs7-mime", "application/x-pkcs7-mime"}
)


class Attachment(msgspec.Struct, frozen=True, kw_only=True):
    """A file that came with a message."""

    name: str
    media_type: str
    size_bytes: int


class Letter(msgspec.Struct, kw_only=True):
    """What a message holds, whichever format it is in."""

    headers: list[tuple[str, str]]
    subject: str
    html: str | None
    text: str | None
    # By their content id.
    pictures: dict[str, bytes]
    attachments: list[Attachment]


def read(work: Work) -> Draft:
    """Read a message. Raises SourceUnreadable, SourceTooComplex."""
    letter = parse(work.inputs[0], work.source)
    warnings: list[str] = []
    tree = _body(letter, work.options.body, warnings)
    tree.meta = {"title": {"t": "MetaString", "c": letter.subject or "(no subject)"}}
    tree.blocks = _front(letter, work.options.headers) + tree.blocks
    if letter.attachments:
        kinds = ", ".join(sorted({one.media_type for one in letter.attachments}))
        warnings.append(f"{len(letter.attachments)} attachments were left out: {kinds}")
    brought = {f"cid:{name}": _constant(content) for name, content in letter.pictures.items()}
    return Draft(tree=tree, pictures=Pictures(brought), warnings=warnings)


def parse(upload: Buffer, source: str) -> Letter:
    """Take a message apart. Raises SourceUnreadable, SourceTooComplex."""
    opener = _of_outlook if source == "msg" else _of_internet
    try:
        return opener(upload)
    except RecursionError as error:
        raise SourceTooComplex("the message is nested too deeply") from error
    except _DAMAGE as error:
        raise SourceUnreadable("the message cannot be read: it is damaged or cut off") from error


def _constant(content: bytes) -> Callable[[], bytes]:
    return lambda: content


def _body(letter: Letter, wanted: Literal["html", "text"], warnings: list[str]) -> Tree:
    if letter.html is not None and (wanted == "html" or letter.text is None):
        tree, said = pandoc.read(
            letter.html.encode(errors="replace"), "html-native_divs-native_spans", "html"
        )
        warnings += said
        return tree
    if not (letter.text or "").strip():
        warnings.append("the message has no text")
    return read_plain((letter.text or "").replace("\r\n", "\n"), "lines")


def _front(letter: Letter, shown: Literal["standard", "all", "none"]) -> list[Element]:
    """The header lines above the text, and the names of what was attached."""
    rows = [] if shown == "none" else letter.headers
    if shown == "standard":
        rows = [row for name in _STANDARD for row in letter.headers if row[0].title() == name]
    if letter.attachments and shown != "none":
        files = ", ".join(f"{one.name} ({_size(one.size_bytes)})" for one in letter.attachments)
        rows = [*rows, ("Attachments", files)]
    if not rows:
        return []
    inlines: list[Element] = []
    for name, value in rows:
        inlines += [{"t": "LineBreak"}] * bool(inlines)
        inlines += [{"t": "Strong", "c": words(f"{name}:")}, {"t": "Space"}]
        inlines += lines(" ".join(value.split()))
    return [paragraph(inlines), {"t": "HorizontalRule"}]


def _size(size_bytes: int) -> str:
    return f"{size_bytes} bytes" if size_bytes < _KIB else f"{round(size_bytes / _KIB)} KB"


def _of_internet(upload: Buffer) -> Letter:
    message = BytesParser(EmailMessage, policy=email.policy.default).parsebytes(bytes(upload))
    headers = [(name, str(value)) for name, value in message.items()]
    if len(headers) > _HEADERS_MAX:
        raise SourceTooComplex(f"the message has more than {_HEADERS_MAX} header lines")
    if message.get_content_type() in _ENCRYPTED and "smime-type=signed" not in str(
        message.get("Content-Type", "")
    ):
        raise SourceUnreadable("the message is encrypted: only its recipient can open it")
    html, text = (message.get_body((kind,)) for kind in ("html", "plain"))
    bodies = {id(html), id(text)}
    markup = _words(html)
    pictures, attachments = dict[str, bytes](), list[Attachment]()
    for part in _leaves(message):
        if id(part) in bodies:
            continue
        content = _content(part)
        named = str(part.get("Content-ID", "")).strip().strip("<>")
        if named and named in (markup or "") and part.get_content_maintype() == "image":
            pictures[named] = content
        else:
            attachments.append(
                Attachment(
                    name=part.get_filename() or "unnamed",
                    media_type=part.get_content_type(),
                    size_bytes=len(content),
                )
            )
    return Letter(
        headers=headers,
        subject=str(message.get("Subject", "")),
        html=markup,
        text=_words(text),
        pictures=pictures,
        attachments=attachments,
    )


def _leaves(message: EmailMessage) -> Iterator[MIMEPart]:
    """Parts that hold something themselves; a message that was attached is one."""
    stack: list[MIMEPart] = [message]
    seen = 0
    while stack:
        part = stack.pop()
        seen += 1
        if seen > _PARTS_MAX:
            raise SourceTooComplex(f"the message has more than {_PARTS_MAX} parts")
        if part.get_content_maintype() == "multipart":
            stack += reversed(list(part.iter_parts()))
        else:
            yield part


def _content(part: MIMEPart) -> bytes:
    if part.get_content_maintype() == "message":
        return bytes(part)
    content = part.get_payload(decode=True)
    return content if isinstance(content, bytes) else b""


def _words(part: MIMEPart | None) -> str | None:
    if part is None:
        return None
    content = _content(part)
    charset = part.get_content_charset() or "utf-8"
    try:
        return content.decode(charset)
    except (UnicodeDecodeError, LookupError):
        return content.decode("cp1252", "replace")


def _of_outlook(upload: Buffer) -> Letter:
    message = oxmsg.Message.load(bytes(upload))
    recipients = "; ".join(
        f"{one.name} <{one.email_address}>" if one.name != one.email_address else one.name
        for one in message.recipients
    )
    sent = message.sent_date
    rows = [
        ("From", message.sender or ""),
        ("To", recipients),
        ("Date", sent.strftime("%a, %d %b %Y %H:%M:%S %z").strip() if sent else ""),
        ("Subject", message.subject),
    ]
    known = {name for name, _ in rows}
    rows += [(n, v) for n, v in message.message_headers.items() if n.title() not in known]
    pictures, attachments = dict[str, bytes](), list[Attachment]()
    for one in message.attachments:
        named = one.properties.str_prop_value(_CONTENT_ID)
        content = one.file_bytes or b""
        media_type = one.mime_type or "application/octet-stream"
        if named and content and named in (message.html_body or ""):
            pictures[named] = content
        else:
            attachments.append(
                Attachment(
                    name=one.file_name or "unnamed", media_type=media_type, size_bytes=len(content)
                )
            )
    return Letter(
        headers=[row for row in rows if row[1]],
        subject=message.subject,
        html=message.html_body,
        text=message.body,
        pictures=pictures,
        attachments=attachments,
    )
