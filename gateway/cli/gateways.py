"""The running services that a command can address: by their sockets in EPHEMERA_HOME, or one URL.

A command names the process it spoke with. Where several run in one home, an order needs `--pid` or
`--all`: an operator who believes to speak with one should not speak with another.
"""

import os
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Annotated

import aiohttp
import msgspec
from cyclopts import Parameter

from gateway import admin_socket
from gateway.cli.terminal import Configured
from gateway.config import Settings
from gateway.errors import NobodyAnswers, OrderRefused, OrderUntimely, WhichOne
from gateway.problems import Problem

# A service that needs longer to say how it is, is not well.
STATUS_S = 5.0
# An order takes as long as the boot of some zygotes; a drain says itself how long.
ORDER_S = 120.0


@Parameter(name="*")
@dataclass(frozen=True)
class Target(Configured):
    """Which running services are meant."""

    url: Annotated[
        str | None,
        Parameter(help="A service's operators' address, with server.operator_token as the token."),
    ] = None
    pid: Annotated[int | None, Parameter(help="One of several services that run in this home.")] = (
        None
    )
    every: Annotated[
        bool, Parameter(name="--all", help="All services that run in this home.", negative="")
    ] = False


TARGET = Target()


class Gateway:
    """One running service: a name for messages, and how to ask it."""

    def __init__(self, name: str, *, url: str, path: str | None, token: str) -> None:
        self.name = name
        self._url = url
        self._path = path
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    async def look(self, address: str) -> bytes:
        """Ask. Raises NobodyAnswers, OrderRefused."""
        return await self._ask("GET", address, None, STATUS_S)

    async def give(self, address: str, order: msgspec.Struct, wait_s: float) -> bytes:
        """Give an order and wait for its end. Raises NobodyAnswers, OrderRefused."""
        return await self._ask("POST", address, msgspec.json.encode(order), wait_s)

    async def _ask(self, method: str, address: str, body: bytes | None, wait_s: float) -> bytes:
        connector = aiohttp.UnixConnector(self._path) if self._path else None
        timeout = aiohttp.ClientTimeout(total=wait_s)
        try:
            async with (
                aiohttp.ClientSession(
                    connector=connector, timeout=timeout, headers=self._headers
                ) as session,
                session.request(method, f"{self._url}{address}", data=body) as response,
            ):
                answer = await response.read()
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise NobodyAnswers(_unanswered(self.name, error)) from error
        if response.ok:
            return answer
        raise _refused(self.name, response.status, answer)


def found(target: Target, settings: Settings, stack: ExitStack) -> list[Gateway]:
    """The services that are meant; what they need is held by `stack`.

    Raises NobodyAnswers where no socket is found.
    """
    if target.url:
        where = target.url.rstrip("/")
        return [Gateway(where, url=where, path=None, token=settings.server.operator_token)]
    try:
        pids = {name: admin_socket.pid_of(name) for name in admin_socket.answering(settings.home)}
    except PermissionError as error:
        raise NobodyAnswers(_closed(str(settings.home))) from error
    if target.pid is not None:
        pids = {name: pid for name, pid in pids.items() if pid == target.pid}
    if not pids:
        which = f"with the pid {target.pid} " if target.pid is not None else ""
        raise NobodyAnswers(
            f"no service {which}answers in {settings.home}; is it running, with this EPHEMERA_HOME?"
            " One elsewhere is asked with --url"
        )
    folder = stack.enter_context(admin_socket.short_path(settings.home))
    return [
        Gateway(f"pid {pid}", url="http://ephemera", path=f"{folder}/{name}", token="")
        for name, pid in pids.items()
    ]


def chosen(target: Target, gateways: Sequence[Gateway]) -> Sequence[Gateway]:
    """Those that are to get an order. Raises WhichOne."""
    if len(gateways) > 1 and not target.every:
        names = ", ".join(each.name for each in gateways)
        raise WhichOne(f"several services run here: {names}; name one with --pid, or say --all")
    return gateways


def _unanswered(name: str, error: Exception) -> str:
    cause = getattr(error, "os_error", None) or error
    if isinstance(cause, PermissionError):
        return _closed(name)
    return f"no service answers on {name}: {str(error) or type(error).__name__}"


def _closed(name: str) -> str:
    return (
        f"{name} is open to its own user and root only; run this as one of them (you are uid "
        f"{os.geteuid()}), or use --url with the operator's token"
    )


def _refused(name: str, status: int, answer: bytes) -> OrderRefused:
    try:
        problem = msgspec.json.decode(answer, type=Problem)
    except msgspec.MsgspecError:
        return OrderRefused(f"{name} answered {status}: is this a service's operators' address?")
    kind = OrderUntimely if problem.retryable else OrderRefused
    return kind(f"{name}: {problem.detail}")
