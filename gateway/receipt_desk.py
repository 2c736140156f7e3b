"""Where a conversion's receipt is made: asked for by `Prefer: receipt`, given as one header.

Hashing costs CPU, so nobody pays for it who did not ask. A preference is not an obligation
(RFC 7240): where the key cannot be read, or the receipt would be too long, the result comes
without one and without `Preference-Applied`.
"""

import asyncio
from collections.abc import Sequence
from importlib.metadata import version

import msgspec
import structlog
from aiohttp import web

from engine import libraries
from engine.job import Buffer, Job, Output
from gateway.errors import ConfigError, ReceiptInvalid
from gateway.receipt_keys import ReceiptKeys, now
from gateway.receipts import Digest, Isolation, Receipt, digest, inputs_of, signed, told_options
from ledger.credits.debit import Debit

log = structlog.get_logger()

HEADER = "X-Ephemera-Receipt"
PREFERENCE = "receipt"
# Beyond this many bytes a hash takes longer than a hop to another thread and back.
INLINE_BYTES_MAX = 256 * 1024


def wanted(request: web.Request) -> bool:
    """Whether the client sent `Prefer: receipt`."""
    preferences = ",".join(request.headers.getall("Prefer", ())).lower().split(",")
    return any(one.partition(";")[0].strip() == PREFERENCE for one in preferences)


class ReceiptDesk:
    """Makes receipts for one service."""

    def __init__(self, keys: ReceiptKeys, level: str) -> None:
        self.keys = keys
        self._level = level
        self._service = version("ephemera")

    async def attach(  # noqa: PLR0917 -- the facts of one receipt
        self,
        response: web.StreamResponse,
        job: Job,
        output: Output,
        debit: Debit,
        inputs: Sequence[Digest],
        body: Sequence[Buffer],
    ) -> None:
        """Put a receipt for this result into its headers, which must not be sent yet."""
        if sum(len(piece) for piece in body) > INLINE_BYTES_MAX:
            result = await asyncio.to_thread(digest, *body)
        else:
            result = digest(*body)
        try:
            text = signed(self._receipt(job, output, debit, inputs, result), self.keys.signing())
        except (ConfigError, ReceiptInvalid) as error:
            log.error("receipt_failed", reason=type(error).__name__)
            return
        response.headers[HEADER] = text
        response.headers["Preference-Applied"] = PREFERENCE

    def _receipt(
        self, job: Job, output: Output, debit: Debit, inputs: Sequence[Digest], body: Digest
    ) -> Receipt:
        return Receipt(
            issued_at=now(),
            service=self._service,
            request_id=str(debit.conversion_id),
            source=job.source,
            target=job.target,
            converter=job.converter,
            options=told_options(job.options),
            libraries=libraries.versions(job.family),
            inputs=inputs_of(inputs),
            output=body,
            isolation=Isolation(
                policy=output.isolation,
                level=self._level,
                layers=output.layers,
                worker=output.worker,
            ),
            limits=msgspec.to_builtins(output.limits),
            credits=debit.credits,
            repeat=debit.repeat,
            queue_s=round(output.queue_s, 3),
            convert_s=round(output.convert_s, 3),
            cpu_s=round(output.cpu_s, 3),
        )
