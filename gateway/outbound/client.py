"""What asks the network for the service: files that customers name by URL, and calls of webhooks.

Redirects are followed by hand, so that each step is checked as the first was. There are no cookies,
no proxies of the environment, no caches and no connections kept alive: two fetches have nothing in
common. What is fetched is counted and timed while it comes, and not unpacked.

A log line or a figure says how a fetch ended, by a label of `OUTCOMES`; never where it went.
"""

import asyncio
import functools
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import ExitStack, aclosing, asynccontextmanager
from typing import TypeVar

import msgspec
import structlog
from aiohttp import hdrs

from engine.job import Buffer
from gateway import receiving
from gateway.downloads import Body
from gateway.errors import (
    ConfigError,
    FetchError,
    FetchFailed,
    FetchOff,
    FetchRefused,
    FetchTooLarge,
    FetchUnusable,
    HooksOff,
)
from gateway.outbound.answer import Answer, AnswerBroken, Head
from gateway.outbound.asking import media_type_of, name_of, request_head, retry_after_s
from gateway.outbound.connecting import Connector, Resolve, SystemNames, trusting
from gateway.outbound.crowd import Crowd
from gateway.outbound.exchange import Answered, exchanged
from gateway.outbound.guard import Policy, Target
from gateway.outbound.pace import Pace, within
from gateway.outbound.settings import FetchConfig, HooksConfig
from gateway.outbound.tally import ABANDONED, DONE, Tally

log = structlog.get_logger()

T = TypeVar("T")

# Who is told of each request's end: its purpose and its outcome.
Count = Callable[[str, str], None]
FETCH, HOOK, CALL = "fetch", "hook", "call"
TAKE, PUT, CHECK = "take", "put", "check"  # of customers' own storage
PURPOSES = (FETCH, HOOK, CALL, TAKE, PUT, CHECK)
OUTCOMES = (
    DONE,
    # refused here
    *("url", "scheme", "port", "credentials", "header", "address", "unresolved", "redirects"),
    "crowded",
    # failed there
    *("unreachable", "tls", "broken", "status", "encoding", "large", "slow"),
    # our own side did not want it any more
    ABANDONED,
)

OK = 200
# Done, and not only "accepted" (202): what was sent is there.
SUCCESS = frozenset({200, 201, 204})
SCHEMES = ("http", "https")
REDIRECTS = frozenset({301, 302, 303, 307, 308})
# Of these the server says itself that they may pass.
PASSING = frozenset({408, 425, 429, *range(500, 600)})
# Of a webhook's answer: read so that its sender ends well, and thrown away.
POSTED_BYTES_MAX = 4 * 1024
# Of an API's answer: a page of a hundred orders with their customers has 500 KB.
CALLED_BYTES_MAX = 2 * 1024 * 1024


class Fetched(msgspec.Struct, frozen=True, kw_only=True):
    """A file on its way in. Name and media type are its server's claims."""

    name: str | None
    media_type: str | None
    # Its size, where the server says so.
    announced: int | None
    # Each piece is wiped when the next one is asked for. Raises FetchError.
    pieces: AsyncGenerator[Buffer, None]


class Posted(msgspec.Struct, frozen=True, kw_only=True):
    """How the call of a webhook ended: a status, or a label of `OUTCOMES` that says why none."""

    status: int | None = None
    # What the receiver's Retry-After says.
    retry_after_s: float | None = None
    error: str | None = None


class Called(msgspec.Struct, frozen=True, kw_only=True):
    """The whole answer to a call of somebody's API."""

    status: int
    body: bytes


class Outbound:
    """The service's one way out."""

    def __init__(
        self,
        config: FetchConfig,
        hooks: HooksConfig,
        *,
        count: Count = lambda _purpose, _outcome: None,
        resolve: Resolve | None = None,
    ) -> None:
        """Raises ConfigError for authorities that cannot be read."""
        self._config = config
        self._hooks = hooks
        self._count = count
        self._policy = Policy.of(config)
        self._hook_schemes = ("http", "https") if config.hooks_http else ("https",)
        self._names = SystemNames()
        self._connector = Connector(self._policy, resolve or self._names, _context(config))
        self._crowd = Crowd(config.at_once_max, config.account_at_once_max)
        self._open: set[Answer] = set()

    def demand(self) -> None:
        """Raise FetchOff where the operator lets nothing be fetched."""
        if not self._config.enabled:
            raise FetchOff("files are not fetched by URL here: send the file itself")

    def check(self, url: str) -> None:
        """Refuse what a URL's text alone gives away. Raises FetchOff, FetchRefused."""
        self.demand()
        try:
            self._policy.target_of(url)
        except FetchRefused as error:
            self._note(FETCH, error.reason)
            raise

    def check_hook(self, url: str) -> None:
        """Refuse a webhook that would never be called. Raises HooksOff, FetchRefused."""
        if not self._hooks.enabled:
            raise HooksOff("webhooks are not called here: ask for the state instead")
        self._policy.target_of(url, schemes=self._hook_schemes)

    def target_of(self, url: str, schemes: Sequence[str]) -> Target:
        """Where a URL points to. Raises FetchRefused for what its text alone gives away."""
        return self._policy.target_of(url, schemes=schemes)

    @asynccontextmanager
    async def fetch(
        self, url: str, headers: Mapping[str, str] | None = None, *, account_id: int | None = None
    ) -> AsyncIterator[Fetched]:
        """Ask for a file; it arrives while its pieces are read, and the connection ends with it.

        `headers` are sent to the URL's own server only, not where it redirects to. Raises FetchOff,
        FetchError.
        """
        self.demand()
        async with self.arriving(FETCH, url, headers or {}, account_id=account_id) as fetched:
            yield fetched

    @asynccontextmanager
    async def arriving(
        self,
        purpose: str,
        url: str,
        headers: Mapping[str, str],
        *,
        account_id: int | None,
        schemes: Sequence[str] = SCHEMES,
    ) -> AsyncIterator[Fetched]:
        """As `fetch`, for whoever knows that it may be asked for. Raises FetchError."""
        pace = Pace(self._config)
        with self._tally(purpose) as tally, ExitStack() as held:
            held.enter_context(self._crowd.enter(account_id))
            target, answer, head = await self._followed(url, headers, pace, schemes)
            held.callback(self._drop, answer)
            self._check_file(head)
            async with aclosing(_ended(self._pieces(answer, pace), held, tally)) as whole:
                yield Fetched(
                    name=name_of(head.headers, target),
                    media_type=media_type_of(head.headers),
                    announced=head.length,
                    pieces=whole,
                )

    async def ask(
        self,
        purpose: str,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: Body | None = None,
        *,
        account_id: int | None,
        schemes: Sequence[str] = SCHEMES,
    ) -> Answered:
        """Send a body, if any, and give the answer, whatever it is: a redirect is one.

        For whoever knows that it may be asked for. Raises FetchError.
        """
        pace = Pace(self._config)
        with self._tally(purpose) as tally, self._crowd.enter(account_id):
            target = self._policy.target_of(url, schemes=schemes)
            head = request_head(method, target, headers, None if body is None else body.size)
            answer = await pace.connected(self._connected(target))
            try:
                answered = await exchanged(answer, pace, head, body)
            finally:
                self._drop(answer)
            tally.ended(DONE if answered.status in SUCCESS or purpose == CHECK else "status")
            return answered

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Posted:
        """Call a webhook. A redirect is an answer, and not followed. Raises nothing."""
        if not self._hooks.enabled:
            return Posted(error="off")
        deadline = asyncio.get_running_loop().time() + self._hooks.timeout_s
        try:
            with self._tally(HOOK) as tally:
                target = self._policy.target_of(url, schemes=self._hook_schemes)
                posted = await within(self._posted(target, body, headers), deadline)
                tally.ended(DONE)
        except FetchError as error:
            return Posted(error=error.reason)
        return posted

    async def call(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes = b""
    ) -> Called:
        """Ask an API that the operator named, and keep its answer, which is small.

        Guarded as webhooks are, by the same settings; no redirect is followed. Raises FetchError.
        """
        with self._tally(CALL) as tally:
            target = self._policy.target_of(url, schemes=self._hook_schemes)
            deadline = asyncio.get_running_loop().time() + self._hooks.timeout_s
            called = await within(self._called(method, target, headers, body), deadline)
            tally.ended(DONE)
            return called

    def close(self) -> None:
        """Cut what is still open. Nothing can be asked any more."""
        self._names.close()
        for answer in list(self._open):
            self._drop(answer)

    async def _followed(
        self, url: str, headers: Mapping[str, str], pace: Pace, schemes: Sequence[str]
    ) -> tuple[Target, Answer, Head]:
        """Ask, and go where the answers lead. Whoever gets the last one drops it."""
        target = self._policy.target_of(url, schemes=schemes)
        for _ in range(self._config.redirects_max + 1):
            answer = await pace.connected(self._connected(target))
            try:
                answer.send(request_head("GET", target, headers))
                head = await pace.kept(_read(answer.head), 0)
            except BaseException:
                self._drop(answer)
                raise
            if head.status not in REDIRECTS or hdrs.LOCATION not in head.headers:
                return target, answer, head
            self._drop(answer)
            following = self._policy.redirected(target, head.headers[hdrs.LOCATION])
            if following.origin != target.origin:
                headers = {}
            target = following
        raise FetchRefused(
            f"the URL redirects more than {self._config.redirects_max} times", reason="redirects"
        )

    async def _posted(self, target: Target, body: bytes, headers: Mapping[str, str]) -> Posted:
        answer = await self._connected(target)
        try:
            answer.send(request_head("POST", target, headers, len(body)))
            answer.send(body)
            head = await _read(answer.head)
            await _read_some(answer)
            return Posted(status=head.status, retry_after_s=retry_after_s(head.headers))
        finally:
            self._drop(answer)

    async def _called(
        self, method: str, target: Target, headers: Mapping[str, str], body: bytes
    ) -> Called:
        answer = await self._connected(target)
        try:
            size = len(body) if body or method != "GET" else None
            answer.send(request_head(method, target, headers, size))
            answer.send(body)
            head = await _read(answer.head)
            whole = bytearray()
            async with aclosing(receiving.pieces(answer.body)) as pieces:
                while piece := await _read(anext(pieces, b"")):
                    whole += piece
                    if len(whole) > CALLED_BYTES_MAX:
                        raise FetchTooLarge("the answer is longer than any of use", reason="large")
            return Called(status=head.status, body=bytes(whole))
        finally:
            self._drop(answer)

    async def _connected(self, target: Target) -> Answer:
        answer = await self._connector.connect(target)
        self._open.add(answer)
        return answer

    def _drop(self, answer: Answer) -> None:
        answer.abort()
        self._open.discard(answer)

    def _check_file(self, head: Head) -> None:
        """Raise where the head says that this is no file, or none that may be taken."""
        if head.status in PASSING:
            raise FetchFailed(
                f"the URL's server answers {head.status}", reason="status", status=head.status
            )
        if head.status != OK:
            raise FetchUnusable(
                f"the URL's server answers {head.status}", reason="status", status=head.status
            )
        encoding = head.headers.get(hdrs.CONTENT_ENCODING, "identity").strip().lower()
        if encoding != "identity":
            raise FetchUnusable(
                "the URL's server sends the file packed (Content-Encoding), unasked; it is not "
                "unpacked here",
                reason="encoding",
            )
        self._check_size(head.length or 0)

    def _check_size(self, size: int) -> None:
        if size > self._config.bytes_max:
            raise FetchTooLarge(
                f"at most {self._config.bytes_max} bytes are fetched from a URL", reason="large"
            )

    async def _pieces(self, answer: Answer, pace: Pace) -> AsyncGenerator[Buffer, None]:
        received = 0
        async with aclosing(receiving.pieces(answer.body)) as body:
            while piece := await pace.kept(_read(anext(body, b"")), received):
                received += len(piece)
                self._check_size(received)
                yield piece

    def _tally(self, purpose: str) -> Tally:
        return Tally(functools.partial(self._note, purpose))

    def _note(self, purpose: str, outcome: str) -> None:
        self._count(purpose, outcome)
        if outcome != DONE:
            log.info("outbound", action=purpose, reason=outcome)


async def _ended(
    pieces: AsyncGenerator[Buffer, None], held: ExitStack, tally: Tally
) -> AsyncGenerator[Buffer, None]:
    """The same pieces; behind the last one the connection and the place in the crowd are free."""
    async with aclosing(pieces):
        async for piece in pieces:
            yield piece
    tally.ended(DONE)
    held.close()


async def _read(arriving: Awaitable[T]) -> T:
    """What an answer brings. Raises FetchFailed where it breaks."""
    try:
        return await arriving
    except AnswerBroken as error:
        raise FetchFailed(f"the URL's server is out of order: {error}", reason="broken") from error


async def _read_some(answer: Answer) -> None:
    """The beginning of a body that nobody wants; one that breaks is as good."""
    left = POSTED_BYTES_MAX
    try:
        async with aclosing(receiving.pieces(answer.body)) as body:
            async for piece in body:
                left -= len(piece)
                if left <= 0:
                    return
    except AnswerBroken:
        return


def _context(config: FetchConfig) -> Callable[[], ssl.SSLContext]:
    """How TLS is checked; the system's authorities are read when somebody needs them."""
    if not config.authorities:
        return trusting
    try:
        context = trusting(config.authorities)
    except OSError as error:
        raise ConfigError(
            "fetch.authorities names a file that is not there or holds no certificates (PEM)"
        ) from error
    return lambda: context
