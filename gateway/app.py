"""The composition root: everything is built here, once, in order, and closed in reverse.

A new component appears in this file and nowhere else. Tests compose the same application; what they
add are observers, which are told of every stage of every conversion.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

import msgspec
from aiohttp import web

from engine import registry
from engine.engine import Engine
from gateway import middleware, openapi, permits, state
from gateway.api import formats, prices
from gateway.billing.desk import BillingDesk
from gateway.compat.convertapi.visitors import Visitors
from gateway.config import Settings
from gateway.connections.desk import StorageDesk
from gateway.drain import Door
from gateway.limits.limits import Limits
from gateway.mail.office import postman_of
from gateway.mail.postman import Postman
from gateway.metrics import Metrics
from gateway.operations import WALL_S_MAX, Operations
from gateway.outbound.client import Outbound
from gateway.people.desk import PeopleDesk
from gateway.people.links import base_of
from gateway.people.passwords import Passwords
from gateway.people.throttle import Throttle
from gateway.privacy import staff
from gateway.privacy.desk import PrivacyDesk
from gateway.process import this_process
from gateway.processes.siblings import Siblings
from gateway.proof_of_work import ProofOfWork
from gateway.receipt_desk import ReceiptDesk
from gateway.receipt_keys import ReceiptKeys
from gateway.routes import ROUTES, add_routes
from gateway.stages import Observer
from gateway.tasks.deliverer import Deliverer
from gateway.tasks.parts import Parts
from gateway.tasks.runner import Runner
from gateway.tasks.stream import Streams
from gateway.tokens.desk import TokenDesk
from gateway.uploads import Memory
from ledger.ledger import Ledger
from ledger.settings import LedgerSettings

# Between the conversion's deadline and the ledger's: settling, and a pause of this process.
DEBIT_SLACK_S = 60.0


@asynccontextmanager
async def compose(
    settings: Settings,
    *,
    dsn: str,
    pepper: bytes,
    keks: tuple[bytes, ...],
    observers: Sequence[Observer] = (),
    group: str = "",
) -> AsyncIterator[web.Application]:
    """The whole service behind an application that is ready to listen.

    `group` is the service that this is one of several gateways of (`gateway/processes/`).
    The engine comes first: a kernel that cannot isolate is found out before anything is written.
    """
    async with AsyncExitStack() as stack:
        engine = await Engine.start(settings.engine)
        stack.push_async_callback(engine.close)
        ledger = await stack.enter_async_context(
            Ledger.connect(ledger_settings(settings, dsn=dsn, pepper=pepper, keks=keks))
        )
        app = build(settings, engine, ledger, observers, group)
        stack.callback(app[state.OUTBOUND].close)
        stack.push_async_callback(app[state.OPERATIONS].close)
        await stack.enter_async_context(app[state.TOKEN_DESK].rotating())
        yield app


def build(
    settings: Settings,
    engine: Engine,
    ledger: Ledger,
    observers: Sequence[Observer] = (),
    group: str = "",
) -> web.Application:
    """The application around an engine and a ledger."""
    memory = Memory(settings.upload.in_flight_bytes_max)
    door = Door()
    process = this_process()
    metrics = Metrics(engine.status, memory, ledger)
    app = web.Application(
        middlewares=[
            middleware.identify,
            middleware.problems,
            middleware.admission,
            staff.on_record,
        ]
    )
    app[state.SETTINGS] = settings
    app[state.ENGINE] = engine
    app[state.LEDGER] = ledger
    app[state.MEMORY] = memory
    app[state.METRICS] = metrics
    app[state.DOOR] = door
    app[state.PROCESS] = process
    app[state.SIBLINGS] = Siblings(settings.home, group)
    app[state.OPERATIONS] = Operations(engine, door, ledger, process)
    app[state.TOKEN_DESK] = TokenDesk(ledger, settings.tokens)
    app[state.RECEIPTS] = ReceiptDesk(ReceiptKeys(settings.home), settings.engine.isolation)
    app[state.PRIVACY] = privacy = PrivacyDesk(ledger, settings, app[state.RECEIPTS].keys)
    app[state.OUTBOUND] = Outbound(settings.fetch, settings.hooks, count=metrics.asked_outside)
    app[state.STORAGE] = StorageDesk(ledger.connections, app[state.OUTBOUND], settings.connections)
    app[state.LIMITS] = Limits(settings.limits, ledger.moments, ledger.inside)
    app[state.PEOPLE_DESK] = PeopleDesk(
        ledger.people,
        settings,
        Throttle(app[state.LIMITS]),
        Passwords(settings.accounts, ledger.people.peppers),
        count=metrics.sign_in,
    )
    app[state.VISITORS] = Visitors(settings.convertapi, ledger.accounts)
    app[state.STREAMS] = Streams(settings.tasks)
    app[state.OBSERVERS] = (metrics.observe, *observers)
    app[state.ENDPOINTS] = {row.handler: row for row in ROUTES}
    app[state.FORMATS_PAGE] = formats.page()
    app[state.BILLING] = billing = BillingDesk(
        settings.billing, ledger, app[state.OUTBOUND], metrics.billing_event
    )
    app[state.PRICES_PAGE] = msgspec.json.encode(prices.build_page(billing))
    app.cleanup_ctx.append(partial(_with_billing, billing))
    app[state.OPENAPI_PAGE] = openapi.page()
    app[state.TASKS] = runner = Runner(
        Parts(
            settings=settings,
            engine=engine,
            ledger=ledger,
            memory=memory,
            door=door,
            metrics=metrics,
            outbound=app[state.OUTBOUND],
            storage=app[state.STORAGE],
            observers=app[state.OBSERVERS],
            permit=permits.check,
        )
    )
    deliverer = Deliverer(ledger, app[state.OUTBOUND].post, metrics.delivery_tried)
    app.cleanup_ctx.append(partial(_with_tasks, runner, deliverer))
    app.cleanup_ctx.append(partial(_with_privacy, privacy))
    app.cleanup_ctx.append(_with_limits)
    app[state.PROOF_OF_WORK] = ProofOfWork(
        ledger.support.proofs.key, ledger.support.proofs.spend, ledger.people.clock
    )
    app[state.POSTMAN] = postman = postman_of(
        settings.mail, base_of(settings), ledger, metrics.mail_tried
    )
    app.cleanup_ctx.append(partial(_with_mails, postman))
    app.on_cleanup.append(_close_passwords)
    app.on_response_prepare.append(middleware.prepared)
    add_routes(app.router)
    return app


async def _with_billing(desk: BillingDesk, _app: web.Application) -> AsyncIterator[None]:
    """Purchases are told of, and compared, while the application listens."""
    async with desk.running():
        yield


async def _with_tasks(
    runner: Runner, deliverer: Deliverer, _app: web.Application
) -> AsyncIterator[None]:
    """Tasks run, and webhooks are called, while the application listens."""
    async with runner.running(), deliverer.delivering():
        yield


async def _close_passwords(app: web.Application) -> None:
    app[state.PEOPLE_DESK].passwords.close()


async def _with_mails(postman: Postman, _app: web.Application) -> AsyncIterator[None]:
    """Mails are delivered while the application listens."""
    async with postman.delivering():
        yield


async def _with_limits(app: web.Application) -> AsyncIterator[None]:
    """Limits are shared with other processes while the application listens."""
    async with app[state.LIMITS].running():
        yield


async def _with_privacy(privacy: PrivacyDesk, _app: web.Application) -> AsyncIterator[None]:
    """The privacy page is published, and heads are signed, while the application listens."""
    async with privacy.working():
        yield


def ledger_settings(
    settings: Settings, *, dsn: str, pepper: bytes, keks: tuple[bytes, ...] = ()
) -> LedgerSettings:
    """What the ledger is told, from what the operator said.

    A debit must outlive the longest wait, conversion and download together, and an operator may
    give a family's conversions more time while the service runs.
    """
    longest_s = max((WALL_S_MAX, *(family.limits.wall_s for family in registry.FAMILIES)))
    return LedgerSettings(
        dsn=dsn,
        pepper=pepper,
        keks=keks,
        password_peppers=settings.accounts.pepper_keys,
        pooled=settings.ledger.pooled,
        lease_s=settings.ledger.lease_s,
        debit_lifetime_s=settings.engine.wait_max_s
        + longest_s
        + settings.download.total_s
        # A task's result that waits in memory leaves its debit open.
        + settings.tasks.memory_s
        + DEBIT_SLACK_S,
        files=settings.files,
        tasks=settings.tasks,
    )
