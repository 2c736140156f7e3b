"""From a target to a connection: look the name up, connect to a permitted address, speak TLS.

Each lookup serves one connection and is forgotten. Addresses are tried as RFC 8305 has it, the next
one a quarter of a second after the last, and each gets its socket from the guard. TLS is checked
against the name that the URL has, so an address that a name should not have helps nobody.
"""

import asyncio
import functools
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from aiohappyeyeballs import start_connection

from gateway.errors import FetchFailed, FetchRefused
from gateway.outbound.answer import Answer
from gateway.outbound.guard import NOT_PUBLIC, AddrInfo, Guard, Policy, Target
from gateway.receiving import Receiver, Scratch

# Gives a name's addresses. Raises OSError where it has none.
Resolve = Callable[[str, int], Awaitable[Sequence[AddrInfo]]]

# RFC 8305, section 8.
NEXT_ADDRESS_S = 0.25
# A name with more addresses than that answers at one of the first, or at none in time.
ADDRESSES_MAX = 8
# As many as the fetches that are under way, and as many again that were given up.
LOOKUPS_MAX = 128
# OpenSSL keeps what it has decrypted until something else needs the room; with this option (BIT(1)
# in ssl.h of 3.0 and later) it overwrites that as soon as we have read it.
_CLEANSE_PLAINTEXT = 1 << 1


class SystemNames:
    """What this machine's resolver says, asked in threads that serve nothing else.

    A lookup cannot be called off: one at a server that never answers keeps its thread for half a
    minute after we have given it up. The loop's own few threads are also the database's.
    """

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(LOOKUPS_MAX, thread_name_prefix="names")

    async def __call__(self, host: str, port: int) -> Sequence[AddrInfo]:
        """The addresses, the best first. Raises OSError."""
        lookup = functools.partial(
            socket.getaddrinfo, host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP
        )
        return await asyncio.get_running_loop().run_in_executor(self._threads, lookup)

    def close(self) -> None:
        """End the threads that are idle, and the others as soon as they are."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def trusting(authorities: str | None = None) -> ssl.SSLContext:
    """TLS as a client, checked against the system's authorities or those of one PEM file."""
    context = ssl.create_default_context(cafile=authorities)
    context.options |= _CLEANSE_PLAINTEXT
    context.set_alpn_protocols(["http/1.1"])
    return context


class Connector:
    """Makes connections that a policy permits."""

    def __init__(
        self, policy: Policy, resolve: Resolve, context: Callable[[], ssl.SSLContext]
    ) -> None:
        self._policy = policy
        self._resolve = resolve
        # Reading the authorities takes 20 ms: only for who needs them.
        self._context = functools.cache(context)
        self._scratch = Scratch()

    async def connect(self, target: Target) -> Answer:
        """A connection to the target. Whoever gets it aborts it.

        Raises FetchRefused, FetchFailed. Has no deadline of its own.
        """
        sock = await self._socket(target)
        try:
            return await self._speak(target, sock)
        except BaseException:
            sock.close()
            raise

    async def _socket(self, target: Target) -> socket.socket:
        guard = Guard(self._policy)
        addresses = await self._addresses(target)
        try:
            sock = await start_connection(
                addresses[:ADDRESSES_MAX],
                happy_eyeballs_delay=NEXT_ADDRESS_S,
                socket_factory=guard.socket_for,
            )
        except (OSError, RuntimeError) as error:
            if guard.refused:
                raise FetchRefused(NOT_PUBLIC, reason="address") from error
            raise FetchFailed("the URL's server cannot be reached", reason="unreachable") from error
        try:
            guard.check_connected(sock)
        except OSError as error:
            sock.close()
            if guard.refused:
                raise FetchRefused(NOT_PUBLIC, reason="address") from error
            raise FetchFailed("the URL's server broke off", reason="broken") from error
        return sock

    async def _addresses(self, target: Target) -> Sequence[AddrInfo]:
        if target.address is not None:
            family = socket.AF_INET if target.address.version == 4 else socket.AF_INET6  # noqa: PLR2004 -- of IP
            return [
                (family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (target.host, target.port))
            ]
        try:
            found = await self._resolve(target.host, target.port)
        except (OSError, UnicodeError) as error:
            # As for a name that is not public: who asks is not told which names exist inside.
            raise FetchRefused(NOT_PUBLIC, reason="unresolved") from error
        except RuntimeError as error:  # its threads have ended
            raise FetchFailed("the service is stopping", reason="abandoned") from error
        if not found:
            raise FetchRefused(NOT_PUBLIC, reason="unresolved")
        return found

    async def _speak(self, target: Target, sock: socket.socket) -> Answer:
        answer = Answer()
        secure = target.scheme == "https"
        try:
            await asyncio.get_running_loop().create_connection(
                lambda: Receiver(answer, self._scratch),
                sock=sock,
                ssl=self._context() if secure else None,
                server_hostname=target.host if secure else None,
            )
        except ssl.SSLError as error:
            raise FetchFailed(
                "the URL's server does not show a valid certificate", reason="tls"
            ) from error
        except OSError as error:
            raise FetchFailed("the URL's server broke off", reason="broken") from error
        return answer
