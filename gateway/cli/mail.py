"""`ephemera mail`: what could not be delivered, another try, and whether mails arrive at all."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Literal
from uuid import UUID

from cyclopts import App, Parameter

from gateway.cli.books import books, recorded
from gateway.cli.terminal import (
    CONFIGURED,
    DEFAULTS,
    Configured,
    Exit,
    Source,
    complain,
    run,
    table,
)
from gateway.config import Settings
from gateway.mail.backends import Failure
from gateway.mail.composing import Composer, UnusableAddress
from gateway.mail.office import backend_of
from gateway.people.links import base_of
from ledger.conversion_id import new_conversion_id
from ledger.mail.outbox import Letter, Posted

app = App(name="mail", help="Look at mails that were not delivered, and try them again.")

State = Literal["waiting", "sending", "sent", "dead"]

# What a mail's `error` means, and what to do about it.
ADVICE: Mapping[str, str] = {
    "connection": "the mail server cannot be reached, or hung up; check mail.host and mail.port",
    "timeout": "the mail server did not answer within mail.timeout_s",
    "tls": "the mail server's certificate is not for mail.host, not of an authority that is"
    " trusted (mail.ca_file names one of your own), or over; or it speaks no TLS on this port",
    "unsupported": "the mail server does not offer what is asked of it: encryption (mail.security),"
    " a login (mail.username), or such an address",
    "login": "the mail server refuses mail.username or mail.password",
    "sender": "the mail server refuses mail.sender; it must be allowed to send for that domain",
    "refused": "the mail server refuses the address",
    "content": "the mail server refuses what the mail says, most often as spam: check SPF, DKIM and"
    " DMARC of the domain of mail.sender",
    "reply": "the mail server answered something that fits nothing",
    "address": "no mail server would take this address",
    "expired": "its link was over before it could be delivered",
    "too-many": "somebody had more mails sent to one address than it takes in an hour",
    "template": "it could not be written; the log says where, and it is a fault of ours",
    "lost": "the service died each time it was about to send it",
    "off": "mail.backend is `off`: this process hands on no mails",
    "no-terminal": "mail.backend is `console` and there is no terminal; name a mail server",
}


@app.command(name="list")
def show(
    *,
    state: Annotated[State, Parameter(help="Which mails.")] = "dead",
    limit: Annotated[int, Parameter(help="How many; the newest.")] = 100,
    source: Source = DEFAULTS,
) -> None:
    """List mails: kinds, times and errors; neither to whom they go nor what they say."""
    found = run(_list(source, state, limit))
    table(HEAD, [_row(one) for one in found])
    for error in sorted({one.error for one in found if one.error}):
        complain(f"{error}: {ADVICE.get(error, 'see docs/mail.md')}")


@app.command
def retry(
    letter: Annotated[UUID | None, Parameter(help="The mail's id; all without it.")] = None,
    *,
    source: Source = DEFAULTS,
) -> None:
    """Have dead letters delivered after all. Those whose links are over stay dead."""
    count = run(_retry(source, letter))
    print(f"{count} {'mail is' if count == 1 else 'mails are'} tried again")


@app.command(name="test")
def send_test(
    address: Annotated[str, Parameter(help="Where the mail goes.")],
    *,
    configured: Configured = CONFIGURED,
) -> int:
    """Send a mail now, past the outbox, and say what the mail server answered."""
    settings = configured.settings()
    try:
        failure = run(_test(settings, address))
    except UnusableAddress:
        failure = Failure(reason="address", final=True)
    if failure is None:
        print("it was taken; look whether it arrives, and not among the spam")
        return Exit.OK
    status = "" if failure.status is None else f" ({failure.status})"
    complain(f"{failure.reason}{status}: {ADVICE[failure.reason]}")
    return Exit.REFUSED if failure.final else Exit.UNAVAILABLE


async def _list(source: Source, state: State, limit: int) -> list[Posted]:
    async with books(source) as ledger:
        return await ledger.mail.list((state,), limit)


async def _retry(source: Source, letter: UUID | None) -> int:
    named = str(letter or "all")
    async with books(source) as ledger, recorded(ledger, "mail-retry", letter=named):
        return await ledger.mail.retry(letter)


async def _test(settings: Settings, address: str) -> Failure | None:
    backend = backend_of(settings.mail, base_of(settings))
    if backend is None:
        return Failure(reason="off")
    now = datetime.now(UTC)
    letter = Letter(
        id=new_conversion_id(),
        kind="test",
        to=address,
        fields={"at": now.isoformat(timespec="minutes")},
        attempts=1,
        created_at=now,
        expired=False,
    )
    return await backend.send(Composer(settings.mail, base_of(settings)).compose(letter))


HEAD = ("ID", "KIND", "STATE", "TRIES", "ERROR", "STATUS", "QUEUED", "NEXT")


def _row(one: Posted) -> tuple[object, ...]:
    following = one.ended_at or one.next_at
    return (
        *(one.id, one.kind, one.state, one.attempts, one.error or "-", one.status or "-"),
        *(when.isoformat(timespec="seconds") for when in (one.created_at, following)),
    )
