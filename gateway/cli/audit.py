"""`ephemera audit`: what operators did, and whether the records are as they were written."""

import base64
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cyclopts import App, Parameter

from gateway.cli.books import books
from gateway.cli.terminal import DEFAULTS, Exit, Source, complain, run, table
from gateway.privacy.desk import AUDIT_KEYS, sign_head
from gateway.receipt_keys import ReceiptKeys
from ledger.audit.actions import Action
from ledger.audit.heads import SignedHead
from ledger.audit.record import Chain, Head

app = App(name="audit", help="List and verify the audit records of operators' orders.")

# Twelve years of hours, of about 330 bytes each.
EXPORTED_BYTES_MAX = 64 * 1024 * 1024


class ExportedHead(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One line of what `heads` prints."""

    head: str
    at: datetime
    kid: str
    signature: str


HEAD = ("TIME", "WHO", "SERVICE", "WHAT", "WITH", "OUTCOME", "DETAIL")


@app.command(name="list")
def show(
    *,
    limit: Annotated[int, Parameter(help="How many, the newest first.")] = 50,
    source: Source = DEFAULTS,
) -> None:
    """List operators' orders, the newest first, and how each ended."""
    table(HEAD, [_row(action) for action in run(_list(source, limit))])


@app.command
def verify(
    *,
    head: Annotated[
        str | None,
        Parameter(help="A head that was printed earlier: is everything up to it still there?"),
    ] = None,
    heads: Annotated[
        Path | None, Parameter(help="What `heads` printed earlier: the same question for each.")
    ] = None,
    source: Source = DEFAULTS,
) -> int:
    """Walk along the chain of records, compare it with its signed heads, and print the last one.

    Exits 0 when the chain is whole, 65 when records were changed, removed or put in between, or a
    head was not signed by a key of this service.
    """
    noted = Head.parse(head) if head else None
    try:
        exported = _read(heads) if heads else []
    except (OSError, ValueError, msgspec.MsgspecError) as error:
        complain(f"{heads} cannot be read as what `ephemera audit heads` prints: {error}")
        return Exit.NO_INPUT
    chain, signed = run(_verify(source, noted, exported))
    print(f"{chain.records} records, head {chain.head or 'none'}")
    print(f"{len(signed)} signed heads, {len(exported)} compared with what was printed")
    for seq in chain.broken:
        complain(f"the chain breaks at record {seq}: it, or the one before it, was changed")
    if chain.holds is False:
        complain("the head that was noted is not in the chain: records were removed or rewritten")
    for one in chain.missing:
        complain(f"the head {one} was signed and is not in the chain: records were rewritten")
    forged = _forged(source, (*signed, *exported))
    for seq in forged:
        complain(f"the head at record {seq} is not signed by a key of this service")
    return Exit.OK if chain.intact and not forged else Exit.REFUSED


@app.command
def heads(*, source: Source = DEFAULTS) -> None:
    """Print the signed heads as JSON lines, the oldest first, to be kept where we cannot reach."""
    for one in reversed(run(_heads(source))):
        print(msgspec.json.encode(_exported(one)).decode())


@app.command
def sign(*, source: Source = DEFAULTS) -> None:
    """Sign the head now. A running service does it every hour."""
    signed = run(_sign(source))
    print(signed.head if signed else "the head is signed already")


async def _list(source: Source, limit: int) -> list[Action]:
    async with books(source) as ledger:
        return await ledger.actions.list(limit)


async def _verify(
    source: Source, noted: Head | None, exported: Sequence[SignedHead]
) -> tuple[Chain, list[SignedHead]]:
    async with books(source) as ledger:
        signed = await ledger.heads.list()
        known = [one.head for one in (*signed, *exported)]
        return await ledger.actions.verify(noted, known), signed


async def _heads(source: Source) -> list[SignedHead]:
    async with books(source) as ledger:
        return await ledger.heads.list()


async def _sign(source: Source) -> SignedHead | None:
    async with books(source) as ledger:
        return await sign_head(ledger, _keys(source), at_once=True)


def _keys(source: Source) -> ReceiptKeys:
    return ReceiptKeys(source.settings().home, AUDIT_KEYS)


def _forged(source: Source, signed: Sequence[SignedHead]) -> list[int]:
    keys = {
        one.kid: Ed25519PublicKey.from_public_bytes(base64.urlsafe_b64decode(f"{one.x}="))
        for one in _keys(source).published()
    }
    return sorted({one.seq for one in signed if not one.signed_by(keys)})


def _exported(one: SignedHead) -> ExportedHead:
    return ExportedHead(head=str(one.head), at=one.at, kid=one.kid, signature=one.signature.hex())


def _read(path: Path) -> list[SignedHead]:
    with path.open("rb") as file:
        lines = msgspec.json.Decoder(ExportedHead).decode_lines(file.read(EXPORTED_BYTES_MAX))
    found = []
    for line in lines:
        head = Head.parse(line.head)
        found.append(
            SignedHead(
                seq=head.seq,
                hash=head.hash,
                at=line.at,
                kid=line.kid,
                signature=bytes.fromhex(line.signature),
            )
        )
    return found


def _row(action: Action) -> tuple[object, ...]:
    return (
        action.at.isoformat(timespec="seconds"),
        action.actor,
        action.gateway,
        action.action,
        action.parameters,
        action.outcome or "no end on record",
        action.detail or "-",
    )
