"""The life of a debit as a table: what each event does in each state, and who decides.

There is no column `state`. A debit is *open* while its row in `credits.open_debit` exists;
*settled* is a consumption without that row and without a refund; *refunded* is one with its refund.
Whoever deletes the row has decided, so two events that race cannot both win; and because every
event has an answer in every state, anything may be sent again.

`credits.post()` implements this. The tests walk every row of it against the database, and the model
of the property tests is this table; the diagram in `ledger/README.md` is made from it
(`python -m ledger.credits.states`).
"""

import sys
from enum import StrEnum

import msgspec

from ledger.credits.operation import Status


class State(StrEnum):
    """What the tables say about a conversion."""

    NOTHING = "nothing"  # never debited
    OPEN = "open"
    SETTLED = "settled"
    REFUNDED = "refunded"


class Event(StrEnum):
    """What is asked of a debit."""

    DEBIT = "debit"
    SETTLE = "settle"
    REFUND = "refund"
    GOODWILL = "goodwill"


class Transition(msgspec.Struct, frozen=True):
    """One line of the table."""

    state: State
    event: Event
    result: State
    # What the one who asked is told.
    outcome: Status
    # Who may cause it, and why the answer is this one.
    who: str


TRANSITIONS = (
    Transition(
        State.NOTHING, Event.DEBIT, State.OPEN, Status.DONE,
        "the gateway, before it converts; refused where credits, lease or key do not allow it",
    ),
    Transition(
        State.NOTHING, Event.SETTLE, State.NOTHING, Status.LAPSED,
        "nobody: there is nothing to settle",
    ),
    Transition(
        State.NOTHING, Event.REFUND, State.NOTHING, Status.LAPSED,
        "the gateway, of a debit that it cannot know to have been made",
    ),
    Transition(
        State.NOTHING, Event.GOODWILL, State.NOTHING, Status.LAPSED,
        "nobody: there is nothing to give back",
    ),
    Transition(
        State.OPEN, Event.DEBIT, State.OPEN, Status.DONE,
        "the writer, again, because the answer was lost",
    ),
    Transition(
        State.OPEN, Event.SETTLE, State.SETTLED, Status.DONE,
        "the gateway, when the result is delivered or kept",
    ),
    Transition(
        State.OPEN, Event.REFUND, State.REFUNDED, Status.DONE,
        "the gateway, when the block is left by an exception; any sweeper, when the lease or the"
        " deadline is over; it wins over a settle in the same batch",
    ),
    Transition(
        State.OPEN, Event.GOODWILL, State.OPEN, Status.LAPSED,
        "nobody: it still runs, and may yet be refunded by itself",
    ),
    Transition(
        State.SETTLED, Event.DEBIT, State.SETTLED, Status.DONE,
        "a connection that was thought to be lost, late",
    ),
    Transition(
        State.SETTLED, Event.SETTLE, State.SETTLED, Status.DONE,
        "the writer, again, because the answer was lost",
    ),
    Transition(
        State.SETTLED, Event.REFUND, State.SETTLED, Status.LAPSED,
        "a sweeper that was overtaken: the customer has the result",
    ),
    Transition(
        State.SETTLED, Event.GOODWILL, State.REFUNDED, Status.DONE,
        "a person, with a reason and a reference, at most the debit, once",
    ),
    Transition(
        State.REFUNDED, Event.DEBIT, State.REFUNDED, Status.LAPSED,
        "the writer, again; the debit was swept in between, and the conversion must not start",
    ),
    Transition(
        State.REFUNDED, Event.SETTLE, State.REFUNDED, Status.LAPSED,
        "a gateway that was cut off for longer than its lease: the result must not be delivered",
    ),
    Transition(
        State.REFUNDED, Event.REFUND, State.REFUNDED, Status.DONE,
        "whoever comes second: it is so already, and nothing is written",
    ),
    Transition(
        State.REFUNDED, Event.GOODWILL, State.REFUNDED, Status.LAPSED,
        "nobody: a debit has one refund at most",
    ),
)  # fmt: skip

_TABLE = {(line.state, line.event): line for line in TRANSITIONS}


def transition(state: State, event: Event) -> Transition:
    """Give the line of the table; there is one for every state and event."""
    return _TABLE[state, event]


def diagram() -> str:
    """Give the Mermaid diagram of all that changes something, and the whole table, as Markdown."""
    arrows = [
        f"    {_node(line.state)} --> {_node(line.result)}: {line.event}"
        for line in TRANSITIONS
        if line.state is not line.result
    ]
    rows = [
        f"| {line.state} | {line.event} | {line.result} | {line.outcome} | {line.who} |"
        for line in TRANSITIONS
    ]
    return "\n".join(
        [
            *("```mermaid", "stateDiagram-v2", *arrows, "```", ""),
            *("| state | event | then | answer | who, and why |", "|---|---|---|---|---|", *rows),
        ]
    )


def _node(state: State) -> str:
    return "[*]" if state is State.NOTHING else state.value


if __name__ == "__main__":
    sys.stdout.write(diagram() + "\n")
