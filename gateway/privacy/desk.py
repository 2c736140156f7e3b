"""What one application has for privacy: its page, the exports it makes, the heads it signs."""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from importlib.metadata import version

from gateway.config import Settings
from gateway.errors import ConfigError
from gateway.privacy.export import Facts, pieces
from gateway.privacy.page import html_of
from gateway.privacy.policy import encoded, policy_of
from gateway.receipt_keys import ReceiptKeys
from gateway.receipts import key_id
from ledger.audit.heads import SignedHead
from ledger.errors import LedgerError
from ledger.ledger import Ledger
from ledger.privacy.owner import Whose

# Heads are signed every hour; this is how soon a gateway sees that it is time.
_PERIOD_S = 60.0
AUDIT_KEYS = "audit-keys"

_log = logging.getLogger(__name__)


class PrivacyDesk:
    """One for the application."""

    def __init__(self, ledger: Ledger, settings: Settings, keys: ReceiptKeys) -> None:
        privacy = ledger.privacy
        service = f"ephemera {version('ephemera')}"
        self.published = policy_of(settings, privacy.inventory, privacy.retention.says, service)
        self.page = encoded(self.published.page)
        self.html = html_of(self.published).encode()
        # Of exports: those of receipts.
        self.keys = keys
        self.audit_keys = ReceiptKeys(settings.home, AUDIT_KEYS)
        self._ledger = ledger
        self._service = service

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """Publish the page, and sign heads, for the length of the block."""
        work = asyncio.create_task(self._work())
        try:
            yield
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)

    async def sign_head(self, *, at_once: bool = False) -> SignedHead | None:
        """Sign the head of the audit records if it is time. Raises ConfigError, LedgerError."""
        return await sign_head(self._ledger, self.audit_keys, at_once=at_once)

    async def export(self, whose: Whose) -> AsyncGenerator[bytes, None]:
        """The bytes of somebody's export. Raises ConfigError where there is no key to sign it."""
        privacy, key = self._ledger.privacy, self.keys.signing()
        facts = Facts(
            service=self._service,
            made_at=datetime.now(UTC),
            account_id=whose.account_id,
            person_id=whose.persons[0],
            policy=self.published.version,
            policy_page=self.page,
        )
        async with privacy.exports.opened(whose) as opened:
            async for piece in pieces(opened, facts, key):
                yield piece

    async def publish(self) -> None:
        """Keep this version of the page. Raises LedgerError."""
        await self._ledger.privacy.policies.publish(self.published.version, self.page.decode())

    async def _work(self) -> None:
        published = False
        while True:
            try:
                if not published:
                    await self.publish()
                    published = True
                await self.sign_head()
            except (LedgerError, ConfigError) as error:
                # A database that is away comes back; a home without a key is told once a minute.
                _log.warning("the audit records' head is not signed: %s", type(error).__name__)
            except Exception:  # noqa: BLE001 -- nobody awaits this: it would end in silence
                _log.error("the audit records' head is not signed", exc_info=True)
            await asyncio.sleep(_PERIOD_S)


async def sign_head(
    ledger: Ledger, keys: ReceiptKeys, *, at_once: bool = False
) -> SignedHead | None:
    """Sign the head of the audit records if it is time. Raises ConfigError, LedgerError."""
    key = keys.signing()
    kid = key_id(key.public_key())
    return await ledger.heads.sign(lambda words: (kid, key.sign(words)), at_once=at_once)
