"""The rest of a large upload, from the client's socket straight into the pipe of its worker.

The kernel moves its pages (`splice(2)`); not one of its bytes is in this process's memory. That is
for a body of known length from which nothing is computed here: a digest, or a boundary that has to
be looked for, takes the way through memory (`gateway/intake.py`).
"""

from aiohttp import web

from engine.passage import Intake as Receiving
from engine.waiting import readable
from gateway.errors import UploadCut
from gateway.receiving import Body
from gateway.uploads import Pace

# What is announced to the worker at a time; its wire has a limit, and this is far below.
PART_BYTES = 64 * 1024 * 1024


async def pass_on(request: web.Request, pace: Pace, receiving: Receiving) -> None:
    """Hand over what the client has yet to send, if that can be done; otherwise nothing happens.

    Raises UploadCut, UploadTooSlow and what a worker can end in.
    """
    body = request.content
    if not isinstance(body, Body):
        return
    with body.rest() as rest:
        if rest is None:
            return
        received = (request.content_length or 0) - rest.left
        for piece in rest.arrived:
            await receiving.feed(piece)
        while part := min(rest.left, PART_BYTES):
            receiving.announce(part)
            while part:
                try:
                    count = await receiving.pour(rest.source, part)
                except ConnectionResetError as error:
                    raise UploadCut("the body ended before its announced end") from error
                rest.taken(count)
                received += count
                part -= count
                if not count:
                    await pace.kept(readable(rest.source), received)
