"""What people ask of their data, over HTTP: the page, exports, ends, rests, who looked."""

import io
import json
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import pytest_asyncio
from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

from engine.engine import Engine
from gateway import state
from gateway.errors import ReceiptInvalid
from gateway.privacy.desk import AUDIT_KEYS
from gateway.privacy.export import checked
from gateway.privacy.staff import of_staff, reads_account
from gateway.receipt_keys import ReceiptKeys
from gateway.routes import ROUTES
from ledger.people.roles import Role, StaffRole
from tests.gateway.persons import PASSWORD, House, Somebody, open_house
from tests.postgres import Server

pytestmark = pytest.mark.asyncio(loop_scope="session")

# Who adds an address for staff decides here, or names the account in it as `account_id`.
READ_WITHOUT = {
    "listStaffTickets": "what people wrote to us, to be read by us",
    "getStaffTicket": "what somebody wrote to us, to be read by us",
    "listIncidents": "our own records",
    "getIncident": "our own records",
    "getSuspensions": "what we ourselves decided, and why",
    "listBillingEvents": "orders that we could not book, by numbers",
    "listDebts": "orders, by numbers",
    "listErasures": "numbers and deadlines",
    "listRetentionRuns": "counts of rows",
    "showAudit": "what we ourselves did",
}
REASON = "ticket T-1: the key does not work"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def house(
    engine: Engine, postgres: Server, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[House]:
    folder: Path = tmp_path_factory.mktemp("home")
    async with open_house(engine, postgres) as house:
        desk = house.service.app[state.PRIVACY]
        desk.keys, desk.audit_keys = ReceiptKeys(folder), ReceiptKeys(folder, AUDIT_KEYS)
        yield house


async def back_in(house: House, somebody: Somebody) -> Somebody:
    """The same person, with a session that began just now."""
    reply = await house.sign_in(somebody.address)
    assert reply.status == 200, reply.body
    return house.signed_in(somebody.address, reply)


async def support(house: House) -> Somebody:
    """Somebody of the staff, with a second factor."""
    somebody = await house.somebody()
    await house.ledger.people.staff.give(somebody.id, StaffRole.SUPPORT)
    await house.ledger.people.staff.give(somebody.id, StaffRole.AUDITOR)
    await somebody.use_totp()
    return somebody


async def exported(house: House, body: bytes) -> dict[str, Any]:
    """The files of an export, checked."""
    keys = house.service.app[state.PRIVACY].keys.published()
    said = checked(io.BytesIO(body), keys)
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        assert {one.name for one in said.files} | {"manifest.json", "manifest.sig"} == set(
            archive.namelist()
        )
        return {
            name: json.loads(archive.read(name))
            for name in archive.namelist()
            if name.endswith(".json")
        }


@pytest.mark.claim("C-PRIV-13")
async def test_an_export_has_everything_of_its_owner_and_nothing_of_others(house: House) -> None:
    ada, eve = await house.somebody(), await house.somebody()
    await ada.done("POST", "/v1/keys", {"label": "the laptop of Ada"})
    told = await ada.done("POST", "/v1/account/export")
    reply = await ada.ask("GET", told["url"])
    files = await exported(house, reply.body)
    assert [row["address"] for row in files["people.person.json"]] == [ada.address]
    assert [row["label"] for row in files["accounts.api_key.json"]] == ["the laptop of Ada"]
    assert files["credits.account.json"][0]["id"] == ada.account_id
    assert len(files["people.session.json"]) == 1
    assert eve.address not in json.dumps(files)
    # Nothing in it lets anybody in.
    assert "$argon2" not in json.dumps(files)
    assert not any("hash" in row for row in files["people.session.json"])
    # Nobody else fetches it.
    assert (await eve.ask("GET", told["url"])).status == 404
    assert "export_ready" in {letter.kind for letter in await house.mails(ada.address)}


async def test_an_export_that_was_changed_is_noticed(house: House) -> None:
    ada = await house.somebody()
    told = await ada.done("POST", "/v1/account/export")
    body = (await ada.ask("GET", told["url"])).body
    keys = house.service.app[state.PRIVACY].keys.published()
    changed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(body)) as old, zipfile.ZipFile(changed, "w") as new:
        for name in old.namelist():
            new.writestr(name, old.read(name).replace(ada.address.encode(), b"eve@example.org"))
    with pytest.raises(ReceiptInvalid, match="people"):
        checked(changed, keys)
    with pytest.raises(ReceiptInvalid, match="not an export"):
        checked(io.BytesIO(b"PK"), keys)


async def test_an_export_explains_every_field_it_has(house: House) -> None:
    ada = await house.somebody()
    told = await ada.done("POST", "/v1/account/export")
    body = (await ada.ask("GET", told["url"])).body
    files = await exported(house, body)
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        readme = archive.read("README.md").decode()
    for name, rows in files.items():
        for row in rows if isinstance(rows, list) else []:
            assert f"## {name}" in readme
            assert all(f"- `{field}` (" in readme for field in row)


async def test_an_export_and_an_end_ask_for_the_password_again(house: House) -> None:
    ada = await house.somebody()
    house.clock.forward(minutes=11)
    for method, path in (("POST", "/v1/account/export"), ("DELETE", "/v1/account")):
        refused = await ada.ask(method, path)
        assert (refused.status, refused.json["code"]) == (403, "step-up-wanted")
    page = await ada.done("POST", "/v1/auth/step-up", {"password": PASSWORD})
    ada.secret = page["session"]["secret"] if "session" in page else page["secret"]
    await ada.done("POST", "/v1/account/export")


@pytest.mark.claim("C-PRIV-15")
async def test_an_account_that_is_deleted_is_dead_at_once_and_can_be_called_back(
    house: House,
) -> None:
    ada = await house.somebody()
    key = (await ada.done("POST", "/v1/keys", {"label": "laptop"}))["secret"]
    asked = await ada.done("DELETE", "/v1/account")
    assert asked["state"] == "waiting"
    assert (await ada.ask("GET", "/v1/account")).status == 401
    assert (await house.ask("GET", "/v1/account", secret=key)).status == 401
    ada = await back_in(house, ada)
    assert (await ada.ask("DELETE", "/v1/account")).json["code"] == "erasure-known"
    # What is there can still be had.
    archive = await ada.ask("POST", "/v1/account/export")
    assert archive.status == 200
    assert (await exported(house, archive.body))["privacy.erasure.json"][0]["state"] == "waiting"
    called_off = await ada.done("DELETE", "/v1/account/erasure")
    assert called_off["state"] == "cancelled"
    assert (await ada.ask("GET", "/v1/account/erasure")).status == 404
    assert (await ada.done("GET", "/v1/account"))["id"] == ada.account_id


@pytest.mark.claim("C-PRIV-16")
async def test_after_a_week_there_is_nobody_to_sign_in(house: House) -> None:
    ada = await house.somebody()
    await ada.done("DELETE", "/v1/account")
    house.clock.forward(days=7, seconds=1)
    await house.ledger.privacy.erasures.sweep()
    assert (await house.sign_in(ada.address)).status == 200
    house.clock.forward(minutes=5)
    await house.ledger.privacy.erasures.sweep()
    refused = await house.sign_in(ada.address)
    assert (refused.status, refused.json["code"]) == (401, "sign-in-refused")
    # The address is free again.
    await house.mails(ada.address)
    again = await house.somebody(ada.address)
    assert again.id != ada.id


async def test_members_delete_themselves_and_owners_their_account_first(house: House) -> None:
    owner = await house.somebody()
    member = await house.member(owner, Role.DEVELOPER)
    assert (await owner.ask("DELETE", "/v1/auth/person")).json["code"] == "owner-wanted"
    asked = await member.done("DELETE", "/v1/auth/person")
    member = await back_in(house, member)
    assert (await member.done("GET", "/v1/auth/erasure"))["id"] == asked["id"]
    await member.done("DELETE", "/v1/auth/erasure")
    assert (await member.ask("GET", "/v1/auth/erasure")).status == 404


@pytest.mark.claim("C-PRIV-17")
async def test_an_account_that_rests_does_nothing_until_it_is_told_to(house: House) -> None:
    ada = await house.somebody()
    key = (await ada.done("POST", "/v1/keys", {"label": "laptop"}))["secret"]
    assert await ada.done("GET", "/v1/account/restriction") == {"since": None}
    assert (await ada.done("POST", "/v1/account/restriction"))["since"]
    sent = await house.service.ask(
        *("POST", "/v1/files"), data=b"x" * 10, headers={"Authorization": f"Bearer {key}"}
    )
    assert (sent.status, sent.json["code"]) == (403, "account-frozen")
    # Reading what is there is no processing that was to stop.
    assert (await ada.ask("POST", "/v1/account/export")).status == 200
    await ada.done("DELETE", "/v1/account/restriction")
    assert await ada.done("GET", "/v1/account/restriction") == {"since": None}


@pytest.mark.claim("C-PRIV-18")
async def test_machines_are_not_remembered_for_who_objects(house: House) -> None:
    ada = await house.somebody()
    await ada.done("POST", "/v1/auth/objections/devices")
    (listed,) = (await ada.done("GET", "/v1/auth/objections"))["objections"]
    assert listed["since"]
    ada = await back_in(house, ada)
    body = (await ada.ask("POST", "/v1/auth/export")).body
    assert (await exported(house, body))["people.device.json"] == []
    await ada.done("DELETE", "/v1/auth/objections/devices")
    (listed,) = (await ada.done("GET", "/v1/auth/objections"))["objections"]
    assert listed["since"] is None
    assert (await ada.ask("POST", "/v1/auth/objections/audit")).status == 404


@pytest.mark.claim("C-PRIV-10")
async def test_staff_look_into_an_account_with_a_reason_that_its_owner_reads(
    house: House,
) -> None:
    ada, staff = await house.somebody(), await support(house)
    place = f"/v1/staff/accounts/{ada.account_id}"
    refused = await staff.ask("GET", place)
    assert (refused.status, refused.json["code"]) == (403, "access-missing")
    wanted = {"account_id": ada.account_id, "reason": REASON, "minutes": 30}
    granted = await staff.done("POST", "/v1/staff/access", wanted)
    assert (await staff.done("GET", place))["members"][0]["address"] == ada.address
    assert (await staff.ask("GET", f"/v1/staff/accounts/{ada.account_id // 2}")).status == 403
    (seen,) = (await ada.done("GET", "/v1/account/access"))["access"]
    assert (seen["reason"], seen["reads"], seen["id"]) == (REASON, 1, granted["id"])
    (told,) = [one for one in await house.mails(ada.address) if one.kind == "staff_access"]
    assert told.fields["reason"] == REASON
    house.clock.forward(minutes=31)
    assert (await staff.ask("GET", place)).status == 403


@pytest.mark.claim("C-PRIV-10")
async def test_whatever_staff_read_takes_an_access_or_has_a_reason_not_to() -> None:
    reading = {row.name for row in ROUTES if of_staff(row) and row.method == "GET"}
    under_an_access = {row.name for row in ROUTES if reads_account(row)}
    assert under_an_access == {"showAccount"}
    assert reading - under_an_access == READ_WITHOUT.keys()


async def test_staff_give_access_back_and_nobody_elses(house: House) -> None:
    ada, one, other = await house.somebody(), await support(house), await support(house)
    wanted = {"account_id": ada.account_id, "reason": REASON}
    granted = await one.done("POST", "/v1/staff/access", wanted)
    assert (await other.ask("GET", f"/v1/staff/accounts/{ada.account_id}")).status == 403
    assert (await other.ask("DELETE", f"/v1/staff/access/{granted['id']}")).status == 404
    await one.done("DELETE", f"/v1/staff/access/{granted['id']}")
    assert (await one.ask("GET", f"/v1/staff/accounts/{ada.account_id}")).status == 403
    for wrong in ({"reason": "because"}, {"minutes": 481}, {"account_id": 0}, {"x": 1}):
        refused = await one.ask("POST", "/v1/staff/access", wanted | wrong)
        assert refused.status == 400, wrong


@pytest.mark.claim("C-PRIV-11")
async def test_what_staff_do_is_on_record_even_when_it_is_refused(house: House) -> None:
    ada, staff = await house.somebody(), await support(house)
    await staff.ask("GET", f"/v1/staff/accounts/{ada.account_id}")
    await staff.done("POST", "/v1/staff/access", {"account_id": ada.account_id, "reason": REASON})
    actions = (await staff.done("GET", "/v1/staff/audit"))["actions"]
    mine = [one for one in actions if one["actor"] == f"person:{staff.id}"]
    assert [(one["action"], one["outcome"]) for one in mine] == [
        ("showAudit", None),
        ("grantAccess", "done"),
        ("showAccount", "failed"),
    ]
    # Words of people are not in records that are kept for ever.
    assert REASON not in json.dumps(actions)


async def test_the_page_is_small_has_no_scripts_and_asks_nobody(house: House) -> None:
    reply = await house.ask("GET", "/privacy")
    assert reply.status == 200
    text = reply.body.decode()
    assert len(text) < 60_000
    assert "<script" not in text
    assert "http" not in text.replace("https://www.lemonsqueezy.com", "")
    assert reply.headers["Content-Security-Policy"].startswith("default-src 'none'")
    page = (await house.ask("GET", "/privacy.json")).json
    for section in page["page"]["sections"]:
        for sentence in section["sentences"]:
            assert sentence["claim"] in text


@pytest.mark.claim("C-PRIV-19")
async def test_every_version_that_was_published_stays_where_it_was(house: House) -> None:
    desk = house.service.app[state.PRIVACY]
    await desk.publish()
    await house.ledger.privacy.policies.publish("0" * 64, '{"service":"an older one"}')
    versions = (await house.ask("GET", "/privacy/versions")).json["versions"]
    assert {one["version"] for one in versions} >= {desk.published.version, "0" * 64}
    old = await house.ask("GET", f"/privacy/versions/{'0' * 64}")
    assert old.json == {"service": "an older one"}
    now = await house.ask("GET", f"/privacy/versions/{desk.published.version}")
    assert now.body == desk.page
    assert (await house.ask("GET", f"/privacy/versions/{'1' * 64}")).status == 404


@pytest.mark.claim("C-PRIV-14")
async def test_people_change_their_name_and_their_address_themselves(house: House) -> None:
    ada = await house.somebody()
    await ada.done("POST", "/v1/auth/name", {"name": "Augusta"})
    new = f"new.{ada.address}"
    await ada.done("POST", "/v1/auth/address", {"address": new})
    link = await house.link(new, "confirm_address")
    await ada.done("POST", "/v1/auth/address/confirm", {"link": link})
    body = (await (await back_in_as(house, new)).ask("POST", "/v1/auth/export")).body
    (person,) = (await exported(house, body))["people.person.json"]
    assert (person["name"], person["address"]) == ("Augusta", new)


async def back_in_as(house: House, address: str) -> Somebody:
    return house.signed_in(address, await house.sign_in(address))


@pytest.mark.claim("C-PRIV-6")
async def test_a_password_is_kept_as_a_slow_hash_mixed_with_what_is_not_there(
    house: House,
) -> None:
    ada = await house.somebody()
    connection = await asyncpg.connect(dsn=house.dsn)
    kept = await connection.fetchval("select password from people.person where id = $1", ada.id)
    await connection.close()
    assert kept.startswith("$argon2id$")
    assert PASSWORD not in kept
    # The password alone is not what was hashed.
    with pytest.raises(VerifyMismatchError):
        PasswordHasher().verify(kept, PASSWORD)


@pytest.mark.claim("C-PRIV-12")
async def test_no_answer_sets_a_cookie(house: House) -> None:
    ada = await house.somebody()
    for method, path in (("GET", "/privacy"), ("GET", "/v1/formats"), ("GET", "/v1/account")):
        assert "Set-Cookie" not in (await ada.ask(method, path)).headers
    assert "Set-Cookie" not in (await house.sign_in(ada.address)).headers


async def test_heads_are_signed_hourly_and_their_keys_are_published(house: House) -> None:
    staff = await support(house)
    desk = house.service.app[state.PRIVACY]
    await staff.done("GET", "/v1/staff/audit")
    signed = await desk.sign_head(at_once=True)
    assert signed is not None
    await staff.done("GET", "/v1/staff/audit")
    assert await desk.sign_head() is None
    house.clock.forward(hours=1)
    again = await desk.sign_head()
    assert again is not None
    assert again.seq > signed.seq
    keys = (await house.ask("GET", "/.well-known/ephemera-audit.json")).json["keys"]
    assert again.kid in {key["kid"] for key in keys}
