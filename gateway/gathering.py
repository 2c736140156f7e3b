"""A request's files, whole and in memory that is wiped, for what begins when all are here."""

from contextlib import aclosing

from aiohttp import web

from gateway import state, storing, uploads
from gateway.config import UploadConfig
from gateway.uploads import Hold, Upload
from gateway.wiping import Gathering, Wiper


async def gathered(
    request: web.Request, config: UploadConfig, hold: Hold, wiper: Wiper
) -> list[Upload]:
    """The stored files that were named; or one of a raw body, or all of a form.

    Raises the upload errors of `gateway.errors`, FileUnknown.
    """
    if request[state.ASKED].files:
        files = await storing.gathered(await storing.sources(request, hold))
    elif uploads.is_multipart(request):
        files = await uploads.read_parts(request, config, hold)
    else:
        whole = Gathering(request.content_length or 0)
        try:
            async with aclosing(uploads.arriving(request, config, hold)) as arriving:
                async for piece in arriving:
                    whole.add(piece)
            files = [Upload(body=whole.whole(), name=uploads.claimed_name(request))]
        finally:
            whole.wipe()
    wiper.add(file.body for file in files)
    return files
