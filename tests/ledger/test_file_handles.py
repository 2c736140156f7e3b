"""Both spellings of a stored file's handle, and what the database knows of the short one."""

import re

import asyncpg
import pytest

from ledger.accounts.accounts import Account
from ledger.errors import FileUnknown
from ledger.files.handle import (
    new_handle,
    new_short_handle,
    parse_handle,
    parse_id,
    parse_short_handle,
)
from ledger.ledger import Ledger


def test_a_short_handle_is_32_lower_case_letters_and_digits_and_all_of_it_is_secret() -> None:
    handle = new_short_handle()
    assert re.fullmatch(r"[a-z0-9]{32}", handle.text)
    assert handle.secret == handle.text
    assert re.fullmatch(r"[0-9A-Za-z]{16}", handle.file_id)
    assert parse_handle(handle.text) == parse_short_handle(handle.text) == handle
    assert parse_id(handle.text) == handle.file_id
    assert handle.text not in repr(handle)


def test_a_long_handle_is_no_short_one() -> None:
    assert parse_short_handle(new_handle().text) is None


@pytest.mark.parametrize("text", ["", "a" * 31, "a" * 33, "A" * 32, "é" * 32, "a" * 31 + "_"])
def test_what_is_not_spelled_so_is_no_short_handle(text: str) -> None:
    assert parse_short_handle(text) is None


def test_no_part_of_the_id_stands_in_the_handle() -> None:
    handles = [new_short_handle() for _ in range(100)]
    assert len({handle.file_id for handle in handles}) == 100
    assert not any(handle.file_id[:6] in handle.text for handle in handles)


async def test_a_file_is_opened_by_its_short_handle_and_by_nothing_near_it(
    ledger: Ledger, account: Account, books: asyncpg.Connection
) -> None:
    async with ledger.files.write(account.id, short=True) as writer:
        await writer.add(b"the bytes")
        stored = await writer.keep(media_type="text/plain", name="a.txt", lifetime_s=60)
        assert len(writer._chunk) == 0  # many files may be kept before the block ends
    file = await ledger.files.open(stored.handle, account.id)
    assert b"".join([bytes(piece) async for piece in file.pieces()]) == b"the bytes"
    near = stored.handle[:-1] + ("a" if stored.handle[-1] != "a" else "b")
    for wrong in (near, stored.id, stored.handle.upper()):
        with pytest.raises(FileUnknown):
            await ledger.files.open(wrong)
    # The id alone names another secret's row: its proof tells them apart.
    await books.execute("update files.half set proof = $1", bytes(32))
    with pytest.raises(FileUnknown):
        await ledger.files.open(stored.handle)


async def test_the_database_holds_nothing_of_a_short_handle(
    ledger: Ledger, account: Account, books: asyncpg.Connection
) -> None:
    async with ledger.files.write(account.id, short=True) as writer:
        await writer.add(b"the bytes")
        stored = await writer.keep(media_type="text/plain", name=None, lifetime_s=60)
    rows = await books.fetch(
        "select f::text || h::text || c::text as row from files.file f"
        " join files.half h on h.file_id = f.id join files.chunk c on c.file_id = f.id"
    )
    assert len(rows) == 1
    pieces = {stored.handle[start : start + 6] for start in range(27)}
    assert not any(piece in rows[0]["row"] for piece in pieces)
