"""`ephemera audit`: what operators did, and whether the records are as they were written."""

from typing import Annotated

from cyclopts import App, Parameter

from gateway.cli.books import books
from gateway.cli.terminal import DEFAULTS, Exit, Source, complain, run, table
from ledger.audit.actions import Action
from ledger.audit.record import Chain, Head

app = App(name="audit", help="List and verify the audit records of operators' orders.")

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
    source: Source = DEFAULTS,
) -> int:
    """Walk along the chain of records and print its head, to be noted elsewhere.

    Exits 0 when the chain is whole, 65 when records were changed, removed or put in between.
    """
    noted = Head.parse(head) if head else None
    chain = run(_verify(source, noted))
    print(f"{chain.records} records, head {chain.head or 'none'}")
    for seq in chain.broken:
        complain(f"the chain breaks at record {seq}: it, or the one before it, was changed")
    if chain.holds is False:
        complain("the head that was noted is not in the chain: records were removed or rewritten")
    return Exit.OK if chain.intact else Exit.REFUSED


async def _list(source: Source, limit: int) -> list[Action]:
    async with books(source) as ledger:
        return await ledger.actions.list(limit)


async def _verify(source: Source, noted: Head | None) -> Chain:
    async with books(source) as ledger:
        return await ledger.actions.verify(noted)


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
