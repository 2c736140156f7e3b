"""One exchange with a server: a body out, of any size, and a small answer in.

What counts as delivered is what the server says after it had the last byte. An answer that comes
earlier ends the sending: a refusal is then the answer, and a success is none.
"""

from collections.abc import Mapping
from contextlib import aclosing

import msgspec

from gateway import receiving
from gateway.downloads import Body
from gateway.errors import FetchFailed, FetchTooSlow
from gateway.outbound.answer import Answer, AnswerBroken, Head
from gateway.outbound.pace import Pace

# Of an answer that is no success, for what it says of the reason.
SAID_BYTES_MAX = 4 * 1024
_REFUSALS = range(300, 600)


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """What a server answers, whatever it is."""

    status: int
    headers: Mapping[str, str]
    # The beginning of the body, of a refusal.
    said: bytes


async def exchanged(answer: Answer, pace: Pace, head: bytes, body: Body | None) -> Answered:
    """Ask over a new connection. Whoever has it drops it. Raises FetchError."""
    try:
        answer.send(head)
        whole = body is None or await _poured(answer, pace, body)
        got = await pace.kept(answer.head, 0 if body is None else body.size)
    except AnswerBroken as error:
        raise FetchFailed(f"the server is out of order: {error}", reason="broken") from error
    if not whole and got.status not in _REFUSALS:
        raise FetchFailed("the server answered before it had the whole file", reason="broken")
    said = await _said(answer, pace, got) if whole else b""
    return Answered(status=got.status, headers=got.headers, said=said)


async def _poured(answer: Answer, pace: Pace, body: Body) -> bool:
    """Send it all (True), or until there is an answer. Raises AnswerBroken, FetchTooSlow."""
    sent = 0
    async with aclosing(body.pieces()) as pieces:
        try:
            async for piece in pieces:
                if not await pace.kept(answer.give(piece), sent):
                    answer.abort()
                    return False
                sent += len(piece)
        except BaseException:
            # Before the piece's memory is wiped: what waits of it would go out as zeros.
            answer.abort()
            raise
    return True


async def _said(answer: Answer, pace: Pace, head: Head) -> bytes:
    """The beginning of a refusal's body; one that breaks or hangs is as good."""
    if head.status not in _REFUSALS:
        return b""
    said = bytearray()
    try:
        async with aclosing(receiving.pieces(answer.body)) as body:
            while len(said) < SAID_BYTES_MAX:
                piece = await pace.kept(anext(body, b""), len(said))
                if not piece:
                    break
                said += piece[: SAID_BYTES_MAX - len(said)]
    except (AnswerBroken, FetchTooSlow):
        pass
    return bytes(said)
