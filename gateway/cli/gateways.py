"""The running services that a command can address: by their sockets in EPHEMERA_HOME, or one URL.

A command names the process it spoke with. Where several run in one home, an order needs `--pid` or
`--all`: an operator who believes to speak with one should not speak with another. The gateways of
one service (`serve --processes`) count as one here, unless one of them is named.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Annotated

from cyclopts import Parameter

from gateway import admin_socket
from gateway.cli.terminal import Configured
from gateway.config import Settings
from gateway.errors import NobodyAnswers, WhichOne
from gateway.processes.asking import Gateway, closed

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
        raise NobodyAnswers(closed(str(settings.home))) from error
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
        Gateway(
            f"pid {pid}",
            url="http://ephemera",
            path=f"{folder}/{name}",
            group=admin_socket.group_of(name),
        )
        for name, pid in pids.items()
    ]


def chosen(target: Target, gateways: Sequence[Gateway]) -> Sequence[Gateway]:
    """Those that are to get an order. Raises WhichOne.

    Of several gateways of one service any one hands it on to the others.
    """
    gateways = list({each.group or each.name: each for each in gateways}.values())
    if len(gateways) > 1 and not target.every:
        names = ", ".join(each.name for each in gateways)
        raise WhichOne(f"several services run here: {names}; name one with --pid, or say --all")
    return gateways
