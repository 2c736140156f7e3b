"""All that is sealed is known, so that no key is taken away while something needs it."""

import asyncpg
import msgspec
import pytest

from ledger.accounts.accounts import Account
from ledger.accounts.rights import KeyKind
from ledger.ledger import Ledger
from ledger.resealing import SEALED
from ledger.settings import LedgerSettings
from tests.ledger.conftest import KEK

# Binary columns that are no ciphertext of the envelope: hashes, public parts, and files, which have
# keys of their own.
OTHERS = {
    "accounts.api_key.hash",
    "accounts.token_key.public",
    "audit.head.hash",
    "audit.head.signature",
    "audit.record.hash",
    "billing.event.digest",
    "credits.idempotency_key.fingerprint",
    "credits.seal.content",
    "credits.seal.digest",
    "credits.tombstone.digest",
    "files.chunk.sealed",
    "files.half.half",
    "files.half.name",
    "files.half.proof",
    "limits.moment.subject",
    "mail.letter.recipient",
    "people.device.hash",
    "people.invitation.hash",
    "people.link.hash",
    "people.recovery_code.hash",
    "people.session.hash",
    "support.proof.hash",
    "tasks.task.fingerprint",
}


@pytest.mark.claim("C-KEY-3")
async def test_every_binary_column_is_sealed_or_known_to_be_no_secret(
    books: asyncpg.Connection,
) -> None:
    rows = await books.fetch(
        "select table_schema || '.' || table_name || '.' || column_name"
        "  from information_schema.columns join information_schema.tables"
        "       using (table_schema, table_name)"
        " where data_type = 'bytea' and table_type = 'BASE TABLE'"
        "   and table_schema not in ('pg_catalog', 'information_schema')"
    )
    found = {row[0] for row in rows}
    assert found - OTHERS == {f"{one.table}.{one.column}" for one in SEALED}, (
        "a sealed column needs a row in ledger/resealing.py; what is no ciphertext stands in OTHERS"
    )


async def test_what_is_sealed_anew_opens_with_the_new_key_alone(
    ledger: Ledger, account: Account, settings: LedgerSettings
) -> None:
    key = await ledger.keys.create(account.id, "browser", kind=KeyKind.SIGNING)
    new = bytes(range(32))
    async with Ledger.connect(msgspec.structs.replace(settings, keks=(KEK, new))) as both:
        assert [one.current for one in await both.resealing.counts()] == [False]
        assert await both.resealing.reseal() == 1
        assert await both.resealing.reseal() == 0
    async with Ledger.connect(msgspec.structs.replace(settings, keks=(new,))) as after:
        assert [(one.count, one.current) for one in await after.resealing.counts()] == [(1, True)]
        standing = await after.tokens.standing(key.id, None)
        assert standing is not None
        assert standing.secret == key.secret.encode()
