"""Every way the ledger can say no, without HTTP.

`gateway/problems.py` gives each its status; a test walks the subclasses and fails for a gap.
Messages are shown to customers (the first group) or to the operator (the second): they say what
to do next, and never carry a secret.
"""


class LedgerError(Exception):
    """Root of the package."""


class InsufficientCredits(LedgerError):
    """The balance is smaller than the cost. Nothing was charged."""

    def __init__(self, *, cost: int, balance: int) -> None:
        super().__init__(
            f"this costs {cost} {_credits(cost)} and the account has {balance}; add credits first"
        )
        self.cost = cost
        self.balance = balance


class AccountUnknown(LedgerError):
    """There is no such account."""


class SuspensionKnown(LedgerError):
    """The account or the key is suspended already."""


class SuspensionUnknown(LedgerError):
    """The account or the key is not suspended."""


class AccountFrozen(LedgerError):
    """The account is frozen or closed; it can spend nothing."""


class NameTaken(LedgerError):
    """Another account has this name."""


class KeyUnknown(LedgerError):
    """There is no such API key."""


class KeysExceeded(LedgerError):
    """The account has as many API keys as it may have."""


class CapReached(LedgerError):
    """The API key may not spend that much more today or this month. Nothing was charged."""

    def __init__(self, *, cost: int, left: int, span: str) -> None:
        super().__init__(
            f"this costs {cost} {_credits(cost)}, and of what this API key may spend in a {span} "
            f"(UTC) {left} {'is' if left == 1 else 'are'} left; use another key, or wait"
        )
        self.cost = cost
        self.left = left


class ReferenceUsed(LedgerError):
    """The reference was booked before with another number of credits; a reference is for ever."""


class KeyInFlight(LedgerError):
    """The first request with this idempotency key still runs. A retry is told how it ended."""

    def __init__(self, *, retry_after_s: float = 1.0) -> None:
        super().__init__(
            "the first request with this idempotency key is still running; retry in a moment"
        )
        self.retry_after_s = retry_after_s


class KeyMismatch(LedgerError):
    """The idempotency key was used for a different request. Nothing was charged."""


class RefundRefused(LedgerError):
    """There is nothing to refund: never debited, still running, or refunded before."""


class DebitLapsed(LedgerError):
    """The debit was refunded before it was settled: the result must not be delivered.

    This happens to a gateway that was cut off or paused for longer than its lease, and to a
    conversion that outlived its debit. Nothing was charged; a retry helps.
    """


class FileUnknown(LedgerError):
    """There is no such stored file: never there, deleted, expired, or somebody else's."""


class FileDamaged(LedgerError):
    """A stored file is not what was stored. Nothing of the damaged part is given out."""


class FileLapsed(LedgerError):
    """A file was written so slowly that its room was given to others. A retry helps."""


class StoreFull(LedgerError):
    """All stored files together reached their limit. Files expire, so a retry helps."""


class StoreQuotaExceeded(LedgerError):
    """The account's stored files reached their limit: delete some, or let them expire."""


class StoreOff(LedgerError):
    """The operator lets nothing be stored. Ask for the result itself instead."""


class DamagedEnvelope(LedgerError):
    """A sealed secret is not what was put at its place. Nothing of it is given out."""


class EnvelopeMissing(LedgerError):
    """The key that something is sealed with is not among ours: the operator has to add it."""


class TaskUnknown(LedgerError):
    """There is no such task: never there, forgotten, or somebody else's."""


class TaskQuotaExceeded(LedgerError):
    """The account has as many tasks that wait or run as it may: let some end, or cancel some."""


class TaskQueueFull(LedgerError):
    """The queue of tasks is full. Tasks end by the second, so a retry helps."""


class HookUnknown(LedgerError):
    """There is no such webhook of this account."""


class HooksExceeded(LedgerError):
    """The account has as many webhooks as it may: delete one."""


class ConnectionUnknown(LedgerError):
    """There is no such connection of this account."""


class ConnectionsExceeded(LedgerError):
    """The account has as many connections as it may: delete one."""


class DeliveryUnknown(LedgerError):
    """There is no such delivery of this webhook, or its log is over."""


class PersonUnknown(LedgerError):
    """There is no such person."""


class SessionUnknown(LedgerError):
    """There is no such session of this person, or it is over."""


class LinkUnknown(LedgerError):
    """A link of a mail that was never sent, was used, replaced or forgotten, or is over."""

    def __init__(self) -> None:
        super().__init__(
            "this link was used before, is too old, or was never sent; ask for a new one"
        )


class AddressKnown(LedgerError):
    """Somebody with this address is here. Said only to who has shown to read its mails."""


class FactorUnknown(LedgerError):
    """The person has no second factor, or proposed none."""


class FactorWanted(LedgerError):
    """The person's second factor must not be dropped."""


class MemberUnknown(LedgerError):
    """There is no such member of this account."""


class MemberKnown(LedgerError):
    """Who is invited is a member already."""


class MembersExceeded(LedgerError):
    """The account has as many members, or waits for as many, as it may."""


class OwnerWanted(LedgerError):
    """The account would have no owner left."""


class RoleExceeded(LedgerError):
    """A member wanted to give or to change what is above the own role."""


class InvitationUnknown(LedgerError):
    """There is no such invitation to this account."""


class OutboxFull(LedgerError):
    """So many mails wait for a mail server that no more are taken of what anybody can ask for."""

    def __init__(self) -> None:
        super().__init__("mails cannot be sent at the moment; try again in a few minutes")


class LetterUnknown(LedgerError):
    """There is no such dead letter, or what it says is of no use any more."""


class OrderUnknown(LedgerError):
    """There is no such purchase, or no such event that waits for somebody."""


class ErasureKnown(LedgerError):
    """The erasure was asked for before, and waits or runs."""


class ErasureUnknown(LedgerError):
    """There is no erasure that could still be called off."""


class AccessUnknown(LedgerError):
    """There is no such permission to look into an account."""


class AccessMissing(LedgerError):
    """Staff want to look into an account, and have no permission that counts now."""


class PolicyUnknown(LedgerError):
    """There never was such a version of the privacy page."""


class TicketUnknown(LedgerError):
    """There is no such ticket, or it is somebody else's."""


class TicketsExceeded(LedgerError):
    """As many messages wait for an answer as may."""


class IncidentUnknown(LedgerError):
    """There is no such incident."""


class IncidentRefused(LedgerError):
    """An incident cannot be put on record like this, or not be closed yet."""


class LedgerUnavailable(LedgerError):
    """PostgreSQL is away or busy. Nothing was charged; a retry helps after `retry_after_s`."""

    def __init__(self, message: str, *, retry_after_s: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class DatabaseRefused(LedgerError):
    """PostgreSQL answers and refuses us: a wrong user or password, or no such database."""


class LedgerFault(LedgerError):
    """PostgreSQL refused a statement it should have taken: a bug of ours, or a forced refusal."""


class SchemaBehind(LedgerError):
    """The database lacks migrations that this version needs: run `ephemera migrate`."""


class SchemaNewer(LedgerError):
    """The database was migrated by a newer version of this program."""


class SchemaChanged(LedgerError):
    """A migration file differs from what was applied under its number."""


class EmbeddedUnavailable(LedgerError):
    """The private PostgreSQL cannot be started here; says why and what to do."""


def _credits(count: int) -> str:
    return "credit" if count == 1 else "credits"
