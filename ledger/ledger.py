"""The front door of the ledger: everything that is ever written down goes through a `Ledger`.

    async with Ledger.connect(LedgerSettings(dsn=…, pepper=…)) as ledger:
        caller = await ledger.keys.authenticate(secret)
        async with ledger.debit(caller.account_id, 3, conversion_id=new_conversion_id()) as debit:
            …

What runs behind it: one writer for all credits (`credits/writer.py`), the heart-beat of this
process's lease, a sweeper for what dead processes left open, others for stored files that have
expired (`files/files.py`) and for tasks (`tasks/tasks.py`), upkeep, and listeners for changed keys
and tasks.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from datetime import date
from functools import partial
from typing import Any
from uuid import UUID

import asyncpg

from ledger.accounts.accounts import Accounts
from ledger.accounts.keys import Keys
from ledger.accounts.low_balance import LowBalance, announce
from ledger.accounts.tokens import Tokens
from ledger.audit.access import Accesses
from ledger.audit.actions import Actions
from ledger.audit.heads import Heads
from ledger.availability import Availability
from ledger.billing.billing import Billing
from ledger.billing.references import References
from ledger.connection import NO_CONNECTION, Connector, no_connection
from ledger.connections.connections import Connections
from ledger.credits import history
from ledger.credits.debit import Debit, FreeDebit
from ledger.credits.history import TrialBalance, Usage, Violation
from ledger.credits.lease import Lease
from ledger.credits.operation import Entry, IdempotencyKey
from ledger.credits.step import Observer, unobserved
from ledger.credits.sweeper import Sweeper
from ledger.credits.terms import PAYING, Terms
from ledger.credits.upkeep import Upkeep
from ledger.credits.writer import Writer
from ledger.database import Database
from ledger.envelope import Envelope
from ledger.errors import LedgerUnavailable
from ledger.files.files import Files
from ledger.files.sweeper import FileSweeper
from ledger.limits.inside import Inside
from ledger.limits.moments import Moments
from ledger.limits.suspensions import Suspensions
from ledger.mail.low_balances import LowBalances
from ledger.mail.outbox import Outbox
from ledger.mail.sweeper import MailSweeper
from ledger.migrate import demand_schema
from ledger.people.people import People
from ledger.people.peppers import Peppers
from ledger.people.person import Clock, Mailer
from ledger.people.secret import utc_now
from ledger.privacy.privacy import Privacy
from ledger.requests.requests import Requests
from ledger.resealing import Resealing
from ledger.settings import LedgerSettings
from ledger.support.support import Support
from ledger.tasks.deliveries import Deliveries
from ledger.tasks.hooks import Hooks
from ledger.tasks.sweeper import TaskSweeper
from ledger.tasks.tasks import Tasks

_POOL_CLOSE_TIMEOUT_S = 1.0


class Ledger:
    """Accounts, keys, credits, files. Made by `connect`; for many tasks of one loop."""

    def __init__(
        self,
        *,
        accounts: Accounts,
        keys: Keys,
        tokens: Tokens,
        actions: Actions,
        files: Files,
        envelope: Envelope,
        resealing: Resealing,
        file_sweeper: FileSweeper,
        tasks: Tasks,
        hooks: Hooks,
        deliveries: Deliveries,
        connections: Connections,
        task_sweeper: TaskSweeper,
        mail: Outbox,
        mail_sweeper: MailSweeper,
        low_balances: LowBalances,
        support: Support,
        people: People,
        privacy: Privacy,
        heads: Heads,
        accesses: Accesses,
        requests: Requests,
        moments: Moments,
        inside: Inside,
        suspensions: Suspensions,
        billing: Billing,
        sweeper: Sweeper,
        upkeep: Upkeep,
        writer: Writer,
        database: Database,
        availability: Availability,
    ) -> None:
        self.accounts = accounts
        self.keys = keys
        self.tokens = tokens
        self.actions = actions
        self.files = files
        self.envelope = envelope
        self.resealing = resealing
        self.file_sweeper = file_sweeper
        self.tasks = tasks
        self.hooks = hooks
        self.deliveries = deliveries
        self.connections = connections
        self.task_sweeper = task_sweeper
        self.mail = mail
        self.mail_sweeper = mail_sweeper
        self.low_balances = low_balances
        self.support = support
        self.people = people
        self.privacy = privacy
        self.heads = heads
        self.accesses = accesses
        self.requests = requests
        self.moments = moments
        self.inside = inside
        self.suspensions = suspensions
        self.billing = billing
        self.sweeper = sweeper
        self.upkeep = upkeep
        self._writer = writer
        self._database = database
        self._availability = availability

    @classmethod
    @asynccontextmanager
    async def connect(
        cls,
        settings: LedgerSettings,
        *,
        on_low_balance: Callable[[LowBalance], None] | None = None,
        observe: Observer = unobserved,
        clock: Clock = utc_now,
        mailer: Mailer | None = None,
    ) -> AsyncIterator["Ledger"]:
        """Connect and take a lease; at the end, deliver what is queued and give the lease back.

        `on_low_balance` is called when any account falls below its threshold, in every process
        that asks for it (not behind a pooler, which carries no announcements).
        `observe` is called at every named step of an operation (`credits/step.py`), for tests, and
        `clock` says what time it is for people, their sessions, links and mails. `mailer` takes the
        mails to people in place of the outbox.
        Raises LedgerUnavailable when PostgreSQL cannot be reached, DatabaseRefused when it does not
        let us in, SchemaBehind or SchemaNewer when its schema is not ours.
        """
        connector = Connector(settings)
        availability = Availability()
        lease = Lease(settings.lease_s)
        try:
            await connector.probe()
            pool = await asyncpg.create_pool(
                **connector.options(), min_size=0, max_size=settings.connections_max
            )
        except NO_CONNECTION as error:
            raise no_connection(error) from error
        async with _closing(pool):
            async with pool.acquire() as connection:
                await demand_schema(connection)
                await lease.register(connection)
            availability.up = True
            database = Database(pool, availability)
            writer = Writer(connector, lease, availability, settings, observe)
            envelope = Envelope(settings.keks)
            keys = Keys(database, settings, envelope)
            sweeper = Sweeper(database, writer, lease_s=settings.lease_s)
            upkeep = Upkeep(database)
            file_sweeper = FileSweeper(database)
            tasks = Tasks(database, envelope, settings.tasks)
            deliveries = Deliveries(database, envelope, settings.tasks)
            task_sweeper = TaskSweeper(database, tasks, deliveries, settings.tasks)
            peppers = Peppers(settings.pepper, settings.password_peppers)
            mail = Outbox(database, envelope, settings.pepper, settings.mail, clock)
            mail_sweeper = MailSweeper(database, settings.mail, clock)
            support = Support(database, mail, settings.pepper, clock)
            people = People(database, envelope, peppers, mailer or mail, clock)
            moments = Moments(database, settings.pepper)
            requests = Requests(database, clock)
            actions = Actions(database)
            privacy = Privacy(database, settings, mail, actions, clock)
            ledger = cls(
                accounts=Accounts(database, writer),
                keys=keys,
                tokens=Tokens(database, envelope, keys),
                actions=actions,
                files=Files(database, settings.files),
                envelope=envelope,
                resealing=Resealing(database, envelope),
                file_sweeper=file_sweeper,
                tasks=tasks,
                hooks=Hooks(database, envelope, settings.tasks),
                deliveries=deliveries,
                connections=Connections(database, envelope),
                task_sweeper=task_sweeper,
                mail=mail,
                mail_sweeper=mail_sweeper,
                low_balances=LowBalances(database, mail),
                support=support,
                people=people,
                privacy=privacy,
                heads=Heads(database, clock),
                accesses=Accesses(database, mail, clock),
                requests=requests,
                moments=moments,
                inside=Inside(database, lease),
                suspensions=Suspensions(database, mail),
                billing=Billing(database, mail, References(settings.pepper), clock),
                sweeper=sweeper,
                upkeep=upkeep,
                writer=writer,
                database=database,
                availability=availability,
            )
            async with _running(writer.run()):
                background = [
                    *(lease.keep(database), sweeper.run()),
                    *(upkeep.run(), file_sweeper.run(), task_sweeper.run(), keys.uses.run()),
                    *(people.sweeper.run(), mail_sweeper.run(), moments.run()),
                    support.sweeper.run(),
                    *(requests.run(), requests.writer.run()),
                    *(privacy.retention.run(), privacy.erasures.run()),
                ]
                if not settings.pooled:
                    background += [keys.listen(connector), tasks.listen(connector)]
                    if on_low_balance is not None:
                        background.append(announce(connector, on_low_balance))
                try:
                    async with _running(*background):
                        yield ledger
                finally:
                    await keys.uses.try_to_write()
                    await requests.writer.try_to_write()
                    if await writer.drain(settings.close_timeout_s):
                        with suppress(LedgerUnavailable):
                            await lease.release(database)

    def debit(
        self,
        account_id: int,
        credits: int,
        *,
        conversion_id: UUID,
        key: IdempotencyKey | None = None,
        terms: Terms = PAYING,
    ) -> Debit:
        """Take credits for the time of a conversion: `async with ledger.debit(…) as debit`.

        `terms` are those of who asks (`Caller.terms`): caps, or that nothing is taken.
        See `credits/debit.py` for what happens at the exits, and for the errors.
        """
        if terms.free:
            standing = partial(history.standing, self._database)
            return FreeDebit(self._writer, account_id, conversion_id, standing)
        return Debit(self._writer, account_id, credits, conversion_id, key, terms)

    async def balance(self, account_id: int) -> int:
        """Give the balance as it is now. Raises AccountUnknown."""
        return await history.balance(self._database, account_id)

    async def entries(
        self, account_id: int, before_seq: int | None = None, limit: int = 50
    ) -> list[Entry]:
        """Give a page of entries, newest first; `before_seq` is the last seq of the last page."""
        return await history.entries(self._database, account_id, before_seq, limit)

    async def usage(self, account_id: int, first: date, last: date, *, by_day: bool) -> list[Usage]:
        """Add up the entries of these days (UTC, both included), by kind or by day and kind."""
        return await history.usage(self._database, account_id, first, last, by_day=by_day)

    async def audit(self) -> list[Violation]:
        """Give everything that must never be; empty is the only good answer."""
        violations = await history.audit(self._database)
        broken = await self.upkeep.broken_seals()
        return violations + [Violation(f"broken seal of {day}", 0, None) for day in broken]

    async def trial_balance(self) -> TrialBalance:
        """Add up all accounts."""
        return await history.trial_balance(self._database)

    async def ping(self) -> None:
        """Ask PostgreSQL for an answer. Raises LedgerUnavailable."""
        await self._database.value("select 1")

    def queued(self) -> int:
        """Give the number of movements of credits that wait to be written."""
        return self._writer.queued

    def healthy(self) -> bool:
        """Say whether PostgreSQL is there, as far as is known, without asking it."""
        return self._availability.up


@asynccontextmanager
async def _closing(pool: asyncpg.Pool) -> AsyncIterator[None]:
    """Close the pool in order, or by force where a server that is away cannot take part."""
    try:
        yield
    finally:
        with suppress(TimeoutError):
            async with asyncio.timeout(_POOL_CLOSE_TIMEOUT_S):
                await pool.close()


@asynccontextmanager
async def _running(*works: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run `works` beside the block and end them with it."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
