"""The other gateways of this service, found and asked over their sockets in EPHEMERA_HOME.

An address leads to any one of several gateways, so whoever is asked for the figures of the service
adds up those of all, and whoever is given an order hands it on to the others. Each carries it out
and records it itself, in the name of the operator who gave it.
"""

import asyncio
import os
import re
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from gateway import admin_socket
from gateway.errors import NobodyAnswers, OrderRefused, RequestMalformed
from gateway.operations import Done, Drain, Order, Resize
from gateway.processes import figures
from gateway.processes.asking import ONLY, Gateway
from gateway.processes.figures import Family
from gateway.processes.shares import part

# As an order takes: the boot of some zygotes. A drain says itself how long it waits.
ORDER_S = 120.0
FIGURES = "/admin/figures"
# What `gateway/operators.py` makes.
_OPERATOR = re.compile(r"uid:\d{1,10}|token:[0-9a-f]{8}")


class AllDone(msgspec.Struct, frozen=True, kw_only=True):
    """What became of an order in each gateway of a service."""

    processes: tuple[msgspec.Raw, ...]
    # Sentences about those that did not do it: one that ends, or is just being started.
    failed: tuple[str, ...] = ()


class Siblings:
    """The gateways beside this one; none where the service has only this one."""

    def __init__(self, home: Path, group: str) -> None:
        self.group = group
        self._home = home

    async def figures(self, own: list[Family]) -> list[Family]:
        """The figures of the whole service. Who does not answer is left out, and counted."""
        with self._others() as others:
            asked = [each.look(FIGURES) for each in others]
            answers = await asyncio.gather(*asked, return_exceptions=True)
        pages = [own]
        for page in answers:
            # One that was started from a newer installation may say it in another way.
            with suppress(msgspec.MsgspecError):
                if isinstance(page, bytes):
                    pages.append(figures.decode(page))
        return figures.added_up(pages)

    async def give(
        self, name: str, order: Order, actor: str, own: Callable[[Order], Awaitable[Done]]
    ) -> AllDone:
        """Have the order carried out here, by `own`, and by all the others at the same time.

        Raises what `own` raises; the others have then been told all the same.
        """
        with self._others() as others:
            here, *there = _dealt(order, 1 + len(others))
            wait_s = ORDER_S + (order.timeout_s if isinstance(order, Drain) else 0.0)
            address = f"/admin/{name}?{ONLY}=this"
            told = [
                each.give(address, its, wait_s, behalf=actor)
                for each, its in zip(others, there, strict=True)
            ]
            done, *answers = await asyncio.gather(own(here), *told, return_exceptions=True)
        for one in (done, *answers):
            if isinstance(one, BaseException) and not isinstance(one, NobodyAnswers | OrderRefused):
                raise one
        if isinstance(done, BaseException):
            raise done
        return AllDone(
            processes=(
                msgspec.Raw(msgspec.json.encode(done)),
                *(msgspec.Raw(one) for one in answers if isinstance(one, bytes)),
            ),
            failed=tuple(str(one) for one in answers if isinstance(one, Exception)),
        )

    @contextmanager
    def _others(self) -> Iterator[list[Gateway]]:
        with admin_socket.short_path(self._home) as folder:
            yield [
                Gateway(
                    f"pid {pid}", url="http://ephemera", path=f"{folder}/{name}", group=self.group
                )
                for name in admin_socket.answering(self._home)
                if admin_socket.group_of(name) == self.group
                and (pid := admin_socket.pid_of(name)) != os.getpid()
            ]


def on_behalf(actor: str, behalf: str | None) -> str:
    """Who gave an order that came from `actor`: a sibling says in whose name it hands it on.

    Only a process of the service's own user is believed: it could write the audit itself.
    """
    if behalf and actor == f"uid:{os.geteuid()}" and _OPERATOR.fullmatch(behalf):
        return behalf
    return actor


def _dealt(order: Order, many: int) -> list[Order]:
    """What each gateway is told: the same, but for what they divide."""
    if not isinstance(order, Resize):
        return [order] * many
    if order.slots < many:
        raise RequestMalformed(
            f"{many} gateways share the slots, and each needs one: name at least {many}"
        )
    return [Resize(slots=part(order.slots, many, number)) for number in range(many)]
