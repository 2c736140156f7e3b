"""Asking one gateway as an operator: over its socket, or at its operators' address."""

import os

import aiohttp
import msgspec

from gateway.errors import NobodyAnswers, OrderRefused, OrderUntimely
from gateway.problems import Problem

# A service that needs longer to say how it is, is not well.
STATUS_S = 5.0
# Says that an order is for the gateway that hears it, and in whose name a sibling hands it on.
ONLY = "only"
BEHALF = "X-Ephemera-Behalf"


class Gateway:
    """One running gateway: a name for messages, and how to ask it.

    `group` is the same for all gateways of one service, empty where it has one.
    """

    def __init__(
        self, name: str, *, url: str, path: str | None, token: str = "", group: str = ""
    ) -> None:
        self.name = name
        self.group = group
        self._url = url
        self._path = path
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    async def look(self, address: str) -> bytes:
        """Ask. Raises NobodyAnswers, OrderRefused."""
        return await self._ask("GET", address, None, STATUS_S, {})

    async def give(
        self, address: str, order: msgspec.Struct, wait_s: float, *, behalf: str = ""
    ) -> bytes:
        """Give an order and wait for its end. Raises NobodyAnswers, OrderRefused."""
        headers = {BEHALF: behalf} if behalf else {}
        return await self._ask("POST", address, msgspec.json.encode(order), wait_s, headers)

    async def _ask(
        self, method: str, address: str, body: bytes | None, wait_s: float, headers: dict[str, str]
    ) -> bytes:
        connector = aiohttp.UnixConnector(self._path) if self._path else None
        timeout = aiohttp.ClientTimeout(total=wait_s)
        try:
            async with (
                aiohttp.ClientSession(
                    connector=connector, timeout=timeout, headers=self._headers | headers
                ) as session,
                session.request(method, f"{self._url}{address}", data=body) as response,
            ):
                answer = await response.read()
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise NobodyAnswers(_unanswered(self.name, error)) from error
        if response.ok:
            return answer
        raise _refused(self.name, response.status, answer)


def closed(name: str) -> str:
    """The sentence for a socket, or a home, that is not ours to open."""
    return (
        f"{name} is open to its own user and root only; run this as one of them (you are uid "
        f"{os.geteuid()}), or use --url with the operator's token"
    )


def _unanswered(name: str, error: Exception) -> str:
    cause = getattr(error, "os_error", None) or error
    if isinstance(cause, PermissionError):
        return closed(name)
    return f"no service answers on {name}: {str(error) or type(error).__name__}"


def _refused(name: str, status: int, answer: bytes) -> OrderRefused:
    try:
        problem = msgspec.json.decode(answer, type=Problem)
    except msgspec.MsgspecError:
        return OrderRefused(f"{name} answered {status}: is this a service's operators' address?")
    kind = OrderUntimely if problem.retryable else OrderRefused
    return kind(f"{name}: {problem.detail}")
