"""An erasure: everything that names somebody goes, in whatever pieces, and the books stay."""

import asyncio
import signal
import sys
from datetime import timedelta
from pathlib import Path

import asyncpg
import pytest

from ledger.errors import AccountFrozen, ErasureKnown, ErasureUnknown, OwnerWanted
from ledger.people.roles import Role
from ledger.privacy.erasure import COOLING_OFF, FINISHED_WITHIN
from tests.privacy.conftest import KEK, NAME, PEPPER, Somebody, Town

ROOT = Path(__file__).parents[2]
OVER = COOLING_OFF + timedelta(seconds=1)
SENT = "update mail.letter set state = 'sent', content = null, ended_at = now()"


async def full_life(town: Town) -> Somebody:
    """Somebody of whom there is something everywhere."""
    somebody = await town.somebody()
    await town.ledger.keys.create(somebody.account_id, f"the key of {NAME}")
    await town.ledger.people.persons.rename_account(somebody.account_id, f"{NAME} & Sons")
    await town.ledger.privacy.wishes.object_to("devices", somebody.account_id, somebody.person_id)
    return somebody


async def erase(town: Town) -> None:
    town.clock.forward(seconds=OVER.total_seconds())
    assert await town.ledger.privacy.erasures.sweep() == []
    town.clock.forward(minutes=5)
    assert len(await town.ledger.privacy.erasures.sweep()) == 1


@pytest.mark.claim("C-PRIV-16")
async def test_after_an_erasure_nothing_names_its_owner(town: Town) -> None:
    somebody, other = await full_life(town), await full_life(town)
    await town.ledger.privacy.erasures.ask(somebody.account_id, somebody.person_id)
    await erase(town)
    await town.books.execute(SENT)
    assert await town.found(somebody.address) == {}
    # The other one, who has the same name, is untouched.
    assert await town.found(NAME) != {}
    assert await town.ledger.balance(other.account_id) == 100
    # And the books still add up, under a number.
    assert [entry.credits for entry in await town.ledger.entries(somebody.account_id)] == [100]


async def test_the_scan_of_these_tests_sees_what_is_there(town: Town) -> None:
    somebody = await full_life(town)
    found = await town.found(somebody.address, NAME)
    assert {"people.person", "people.account", "accounts.api_key"} <= found.keys()
    await town.books.execute("create table public.hidden (x bytea, y int)")
    await town.books.execute("insert into public.hidden values ($1, 7)", b"\0" + NAME.encode())
    assert "public.hidden" in await town.found(NAME)


async def test_keys_and_sessions_end_at_once_and_the_rest_in_a_week(town: Town) -> None:
    somebody = await town.somebody()
    key = await town.ledger.keys.create(somebody.account_id, "laptop")
    asked = await town.ledger.privacy.erasures.ask(somebody.account_id, somebody.person_id)
    assert (asked.begins_at, asked.finish_by) == (
        town.clock() + COOLING_OFF,
        town.clock() + FINISHED_WITHIN,
    )
    assert await town.ledger.keys.authenticate(key.secret) is None
    assert await town.books.fetchval("select count(*) from people.session") == 0
    assert (await town.ledger.accounts.get(somebody.account_id)).status == "frozen"
    town.clock.forward(days=6.99)
    assert await town.ledger.privacy.erasures.sweep() == []
    town.clock.forward(days=0.02)
    assert await town.ledger.privacy.erasures.sweep() == []
    town.clock.forward(minutes=5)
    assert await town.ledger.privacy.erasures.sweep() == [asked.id]
    assert (await town.ledger.accounts.get(somebody.account_id)).status == "closed"


@pytest.mark.claim("C-PRIV-15")
async def test_it_can_be_called_off_for_a_week(town: Town) -> None:
    somebody = await town.somebody()
    erasures = town.ledger.privacy.erasures
    await erasures.ask(somebody.account_id, somebody.person_id)
    town.clock.forward(days=6)
    assert (await erasures.call_off(somebody.account_id, None)).state == "cancelled"
    town.clock.forward(days=30)
    assert await erasures.sweep() == []
    account = await town.ledger.accounts.get(somebody.account_id)
    assert (account.status, account.balance) == ("active", 100)
    with pytest.raises(ErasureUnknown):
        await erasures.call_off(somebody.account_id, None)


async def test_what_has_begun_is_not_called_off(town: Town) -> None:
    somebody = await town.somebody()
    erasures = town.ledger.privacy.erasures
    asked = await erasures.ask(somebody.account_id, somebody.person_id)
    town.clock.forward(seconds=OVER.total_seconds())
    assert await erasures.steps.take(asked.id) == "begin"
    with pytest.raises(ErasureUnknown):
        await erasures.call_off(somebody.account_id, None)


async def test_it_is_asked_for_once(town: Town) -> None:
    somebody = await town.somebody()
    ask = town.ledger.privacy.erasures.ask
    said = await asyncio.gather(
        *(ask(somebody.account_id, somebody.person_id) for _ in range(3)), return_exceptions=True
    )
    assert sorted(type(one).__name__ for one in said) == ["Erasure", *2 * ["ErasureKnown"]]
    with pytest.raises(ErasureKnown):
        await ask(somebody.account_id, somebody.person_id)


async def test_an_account_that_waits_for_its_end_stays_frozen_whoever_thaws_it(
    town: Town,
) -> None:
    somebody = await town.somebody()
    await town.ledger.privacy.erasures.ask(somebody.account_id, somebody.person_id)
    await town.ledger.accounts.set_status(somebody.account_id, "active")
    assert (await town.ledger.accounts.get(somebody.account_id)).status == "frozen"


async def test_who_is_suspended_stays_so_after_calling_off(town: Town) -> None:
    somebody = await town.somebody()
    await town.ledger.suspensions.suspend(somebody.account_id, "too many chargebacks")
    erasures = town.ledger.privacy.erasures
    await erasures.ask(somebody.account_id, somebody.person_id)
    await erasures.call_off(somebody.account_id, None)
    assert (await town.ledger.accounts.get(somebody.account_id)).status == "frozen"
    await town.ledger.suspensions.lift(somebody.account_id)
    assert (await town.ledger.accounts.get(somebody.account_id)).status == "active"


@pytest.mark.claim("C-PRIV-16")
async def test_a_death_between_any_two_steps_is_made_up_for(town: Town) -> None:
    """Each step is taken and then taken back before its commit, as by a kill -9, then done."""
    somebody = await full_life(town)
    erasures = town.ledger.privacy.erasures
    asked = await erasures.ask(somebody.account_id, somebody.person_id)
    town.clock.forward(seconds=OVER.total_seconds())
    steps = []
    while True:
        with pytest.raises(asyncpg.PostgresError, match="dies here"):
            await dying(town, asked.id)
        step = await erasures.steps.take(asked.id)
        town.clock.forward(minutes=5)
        if step is None:
            break
        steps.append(step)
        if step == "close":
            break
    assert steps[0] == "begin"
    assert len(steps) == len(set(steps)) > 15
    await town.books.execute(SENT)
    assert await town.found(somebody.address, NAME) == {}
    (proof,) = await erasures.list()
    assert (proof.state, proof.account_id) == ("done", somebody.account_id)


@pytest.mark.claim("C-PRIV-16")
async def test_processes_that_are_killed_one_after_the_other_come_to_the_end(town: Town) -> None:
    somebody = await full_life(town)
    asked = await town.ledger.privacy.erasures.ask(somebody.account_id, somebody.person_id)
    steps: list[str] = []
    hours = 7 * 24 + 1
    for count in (1, 3, 2, 7):
        said = [town.dsn, PEPPER.hex(), KEK.hex(), str(asked.id), str(hours), str(count)]
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.privacy.dying", *said),
            stdout=asyncio.subprocess.PIPE,
            cwd=ROOT,
        )
        printed, _ = await process.communicate()
        assert process.returncode == -signal.SIGKILL
        steps += printed.decode().split()
        hours += 1
    town.clock.forward(hours=hours)
    assert await town.ledger.privacy.erasures.sweep() == [asked.id]
    assert len(steps) == len(set(steps)) == 13
    await town.books.execute(SENT)
    assert await town.found(somebody.address, NAME) == {}


async def dying(town: Town, erasure_id: object) -> None:
    """Take a step in a transaction that the server ends when it is all but committed."""
    await town.books.execute(
        "create function public.die() returns trigger language plpgsql as"
        " $$ begin raise exception 'it dies here'; end $$;"
        "create constraint trigger die after update on privacy.erasure"
        " deferrable initially deferred for each row execute function public.die()"
    )
    try:
        await town.ledger.privacy.erasures.steps.take(erasure_id)  # type: ignore[arg-type]
    finally:
        await town.books.execute("drop trigger die on privacy.erasure; drop function public.die")


async def test_rows_of_others_stay_wherever_they_stand(town: Town) -> None:
    """In two partitions two rows are at the same place, which is how rows are deleted."""
    one, other = await town.somebody(), await town.somebody()
    today = town.clock().date()
    for account_id, days in ((one.account_id, 1), (other.account_id, 2)):
        day = today - timedelta(days=days)
        await town.books.execute("select requests.make_days($1, $1)", day)
        await town.books.execute(
            "insert into requests.record (at, request_id, account_id, method, path, operation,"
            " status, bytes_in, milliseconds, credits)"
            " values ($1::date + interval '1 hour', gen_random_uuid(), $2, 'GET', '/', '', 200,"
            " 0, 1, 0)",
            *(day, account_id),
        )
    places = await town.books.fetch("select ctid::text from requests.record")
    assert len({row["ctid"] for row in places}) == 1
    await town.ledger.privacy.erasures.ask(one.account_id, one.person_id)
    await erase(town)
    left = await town.books.fetch("select account_id from requests.record")
    assert [row["account_id"] for row in left] == [other.account_id]


async def test_members_who_have_another_account_stay(town: Town) -> None:
    owner, guest = await town.somebody(), await town.somebody()
    await town.books.execute(
        "insert into people.member values ($1, $2, $3, now())",
        *(owner.account_id, guest.person_id, Role.VIEWER.value),
    )
    await town.ledger.privacy.erasures.ask(owner.account_id, owner.person_id)
    await erase(town)
    left = await town.books.fetch("select id from people.person")
    assert [row["id"] for row in left] == [guest.person_id]
    memberships = await town.ledger.people.persons.memberships(guest.person_id)
    assert [one.account_id for one in memberships] == [guest.account_id]


async def test_a_person_leaves_who_owns_no_account_alone(town: Town) -> None:
    owner, guest = await town.somebody(), await town.somebody()
    erasures = town.ledger.privacy.erasures
    with pytest.raises(OwnerWanted):
        await erasures.ask_person(guest.person_id)
    await town.books.execute(
        "insert into people.member values ($1, $2, 'owner', now())",
        *(guest.account_id, owner.person_id),
    )
    await erasures.ask_person(guest.person_id)
    await erase(town)
    await town.books.execute(SENT)
    assert await town.found(guest.address) == {}
    assert (await town.ledger.accounts.get(guest.account_id)).status == "active"


async def test_the_last_mail_tells_that_it_is_done(town: Town) -> None:
    somebody = await town.somebody()
    await town.ledger.privacy.erasures.ask(somebody.account_id, somebody.person_id)
    kinds = {letter.kind for letter in await town.ledger.mail.claim(100)}
    assert "erasure_scheduled" in kinds
    await erase(town)
    (last,) = await town.ledger.mail.claim(100)
    assert (last.kind, last.to) == ("erasure_done", somebody.address)


async def test_it_is_on_record_by_numbers_alone(town: Town) -> None:
    somebody = await town.somebody()
    asked = await town.ledger.privacy.erasures.ask(somebody.account_id, somebody.person_id)
    await erase(town)
    actions = [one for one in await town.ledger.actions.list() if one.action == "erase"]
    assert [(one.outcome, one.detail) for one in actions] == [("done", "close"), ("done", "begin")]
    assert all(str(asked.id) in one.parameters for one in actions)
    row = await town.books.fetchrow("select * from privacy.erasure")
    assert row is not None
    assert (row["requested_by"], row["persons"]) == (None, [])


async def test_a_restriction_leaves_everything_and_does_nothing(town: Town) -> None:
    somebody = await town.somebody()
    wishes = town.ledger.privacy.wishes
    since = await wishes.restrict(somebody.account_id)
    assert await wishes.restrict(somebody.account_id) == since
    with pytest.raises(AccountFrozen):
        async with town.ledger.files.write(somebody.account_id):
            pass
    await town.ledger.accounts.set_status(somebody.account_id, "active")
    assert (await town.ledger.accounts.get(somebody.account_id)).status == "frozen"
    await wishes.lift(somebody.account_id)
    assert (await town.ledger.accounts.get(somebody.account_id)).status == "active"


@pytest.mark.claim("C-PRIV-18")
async def test_a_machine_is_not_remembered_for_who_objects(town: Town) -> None:
    somebody = await town.somebody()
    wishes, remember = town.ledger.privacy.wishes, town.books.execute
    put = "insert into people.device values (sha256($1), $2, now(), now())"
    await remember(put, b"one", somebody.person_id)
    await wishes.object_to("devices", somebody.account_id, somebody.person_id)
    await remember(put, b"two", somebody.person_id)
    assert await town.books.fetchval("select count(*) from people.device") == 0
    await wishes.withdraw("devices", somebody.account_id, somebody.person_id)
    await remember(put, b"three", somebody.person_id)
    assert await town.books.fetchval("select count(*) from people.device") == 1
