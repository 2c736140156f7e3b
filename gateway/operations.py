"""What an operator can do to the running service, each on record before it happens.

An order is a small typed struct; `ORDERS` names them all. Whoever gives one and goes away does not
stop it: what was begun is brought to its end, and its end is recorded.
"""

import asyncio
from typing import Annotated

import msgspec
import structlog
from msgspec import UNSET, Meta, UnsetType

from engine.engine import Engine
from engine.status import Drained, Paused, Recycled, Resized
from gateway.drain import Door
from gateway.errors import RequestMalformed, ServiceDraining
from gateway.process import Process
from ledger.ledger import Ledger

log = structlog.get_logger()

# The ledger keeps a debit open for at least this long (`gateway/app.py`), so no operator can give
# conversions more time than their debits have.
WALL_S_MAX = 600.0
# More conversions at once than any machine has cores is a typing error.
SLOTS_MAX = 4096
GIB = 1024**3

FamilyName = Annotated[str, Meta(min_length=1, max_length=40)]
Seconds = Annotated[float, Meta(gt=0, le=86_400)]
AccountId = Annotated[int, Meta(ge=1, lt=2**53)]
# An id, or the prefix that is shown.
KeyName = Annotated[str, Meta(min_length=1, max_length=40)]


class Order(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Something that an operator wants done."""


class Pause(Order, frozen=True, kw_only=True):
    """Start no conversion until `resume`; requests wait in line, within its bounds."""


class Resume(Order, frozen=True, kw_only=True):
    """Undo `pause` and `drain`."""


class Drain(Order, frozen=True, kw_only=True):
    """Refuse new conversions, and wait this long for those under way."""

    timeout_s: Seconds = 60.0


class Recycle(Order, frozen=True, kw_only=True):
    """Replace the zygotes of one family or of all, the new one first. No request fails."""

    family: FamilyName | None = None


class RestartZygote(Order, frozen=True, kw_only=True):
    """End zygotes that are not trusted any more; what runs may finish."""

    family: FamilyName | None = None


class Resize(Order, frozen=True, kw_only=True):
    """Set how many conversions run at once."""

    slots: Annotated[int, Meta(ge=1, le=SLOTS_MAX)]


class SetLimit(Order, frozen=True, kw_only=True):
    """Change limits of a family's workers until the process ends; what runs keeps the old ones."""

    family: FamilyName
    wall_s: Annotated[float, Meta(gt=0, le=WALL_S_MAX)] | UnsetType = UNSET
    cpu_s: Annotated[int, Meta(ge=1, le=int(WALL_S_MAX))] | UnsetType = UNSET
    address_space_bytes: Annotated[int, Meta(ge=1, le=1024 * GIB)] | UnsetType = UNSET
    input_bytes_max: Annotated[int, Meta(ge=1, le=64 * GIB)] | UnsetType = UNSET
    output_bytes_max: Annotated[int, Meta(ge=1, le=64 * GIB)] | UnsetType = UNSET

    def limits(self) -> dict[str, float]:
        """The limits that were named."""
        named = {name: getattr(self, name) for name in self.__struct_fields__ if name != "family"}
        return {name: value for name, value in named.items() if value is not UNSET}


class Suspend(Order, frozen=True, kw_only=True):
    """Shut an account out, or one of its keys, until `unsuspend`; its owners are told why."""

    account: AccountId
    key: KeyName | None = None
    reason: Annotated[str, Meta(min_length=1, max_length=500)]


class Unsuspend(Order, frozen=True, kw_only=True):
    """Let an account or a key in again."""

    account: AccountId
    key: KeyName | None = None


# As the address and the command name them.
ORDERS: dict[str, type[Order]] = {
    "pause": Pause,
    "resume": Resume,
    "drain": Drain,
    "recycle": Recycle,
    "restart-zygote": RestartZygote,
    "resize": Resize,
    "set-limit": SetLimit,
    "suspend": Suspend,
    "unsuspend": Unsuspend,
}
_NAMES = {kind: name for name, kind in ORDERS.items()}


class Suspended(msgspec.Struct, frozen=True, kw_only=True):
    """Who is shut out now, or no longer."""

    account: int
    key: str | None
    suspended: bool


Result = Paused | Resized | Recycled | Drained | Suspended


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """An order that was carried out."""

    action: str
    action_id: str
    process: Process
    # False where the ledger went away meanwhile: it was done, and only its beginning is on record.
    recorded: bool
    result: Result


class Operations:
    """Carries out orders on one engine and one door."""

    def __init__(self, engine: Engine, door: Door, ledger: Ledger, process: Process) -> None:
        self._engine = engine
        self._door = door
        self._ledger = ledger
        self._process = process
        self._under_way: set[asyncio.Task[Done]] = set()

    async def run(self, order: Order, actor: str) -> Done:
        """Do it, and record it. A cancellation lets it go on.

        Raises RequestMalformed for an order that cannot be, ServiceDraining for one that comes too
        late, LedgerUnavailable where it cannot be recorded (then nothing was done), and
        EngineUnavailable where no new zygote starts.
        """
        self._check(order)
        task = asyncio.create_task(self._recorded(order, actor))
        self._under_way.add(task)
        task.add_done_callback(self._forget)
        return await asyncio.shield(task)

    async def close(self) -> None:
        """Cancel what still runs: its records say so."""
        tasks = list(self._under_way)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _forget(self, task: asyncio.Task[Done]) -> None:
        self._under_way.discard(task)
        if not task.cancelled():
            task.exception()  # seen: whoever asked may be gone

    def _check(self, order: Order) -> None:
        """Refuse what cannot be done before anything is recorded of it."""
        if isinstance(order, Pause | Resume) and self._door.stopping:
            raise ServiceDraining("the service is stopping; start it again instead")
        family = getattr(order, "family", None)
        known = self._families()
        if family is not None and family not in known:
            raise RequestMalformed(f"there is no family of that name; known are {', '.join(known)}")
        if isinstance(order, SetLimit) and not order.limits():
            names = ", ".join(name for name in order.__struct_fields__ if name != "family")
            raise RequestMalformed(f"name at least one limit: {names}")

    async def _recorded(self, order: Order, actor: str) -> Done:
        action = _NAMES[type(order)]
        async with self._ledger.actions.recorded(
            actor=actor,
            gateway=self._process.label,
            action=action,
            parameters=msgspec.json.encode(order).decode(),
        ) as act:
            log.warning("operator_action", action=action, actor=actor)
            result = await self._carry_out(order)
            act.detail = msgspec.json.encode(result).decode()
        return Done(
            action=action,
            action_id=str(act.id),
            process=self._process,
            recorded=act.complete,
            result=result,
        )

    async def _carry_out(self, order: Order) -> Result:
        match order:
            case Pause():
                return self._engine.pause()
            case Resume():
                was_draining = self._door.draining
                self._door.reopen()
                resumed = self._engine.resume()
                return msgspec.structs.replace(resumed, changed=resumed.changed or was_draining)
            case Drain():
                self._door.close()
                finished = await self._door.wait_empty(order.timeout_s)
                return Drained(finished=finished, left=self._door.inside)
            case Resize():
                return self._engine.resize(order.slots)
            case Suspend() | Unsuspend():
                return await self._shut_out(order)
            case _:
                return await self._renew(order)

    async def _shut_out(self, order: Suspend | Unsuspend) -> Suspended:
        """Both, for an account or one key of it."""
        try:
            if isinstance(order, Suspend):
                await self._ledger.suspensions.suspend(order.account, order.reason, order.key)
            else:
                await self._ledger.suspensions.lift(order.account, order.key)
        except ValueError as error:
            raise RequestMalformed(str(error)) from error
        return Suspended(account=order.account, key=order.key, suspended=isinstance(order, Suspend))

    async def _renew(self, order: Order) -> Recycled:
        """The orders that make new zygotes."""
        match order:
            case Recycle():
                return await self._engine.recycle(order.family)
            case RestartZygote():
                return await self._restart(order.family)
            case SetLimit():
                try:
                    return await self._engine.set_limit(order.family, **order.limits())
                except ValueError as error:  # a number that this limit cannot be
                    raise RequestMalformed(str(error)) from error
        raise AssertionError(order)

    async def _restart(self, family: str | None) -> Recycled:
        names = self._families() if family is None else (family,)
        for name in names:
            await self._engine.restart_zygote(name)
        return Recycled(families=names)

    def _families(self) -> tuple[str, ...]:
        return tuple(family.name for family in self._engine.status().families)
