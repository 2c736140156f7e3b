"""Members, invitations and roles over HTTP, and what a session of somebody who left can do."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from engine.engine import Engine
from ledger.people.roles import Role
from tests.gateway.persons import PASSWORD, House, Somebody, new_address, open_house
from tests.postgres import Server

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def house(engine: Engine, postgres: Server) -> AsyncIterator[House]:
    async with open_house(engine, postgres) as house:
        yield house


@pytest_asyncio.fixture(loop_scope="session")
async def owner(house: House) -> Somebody:
    return await house.somebody()


async def code_of(who: Somebody, method: str, path: str, body: object = None) -> str:
    reply = await who.ask(method, path, body)
    assert reply.status >= 400, reply.body
    code: str = reply.json["code"]
    return code


async def test_who_is_invited_comes_in_with_the_role_that_was_meant(
    house: House, owner: Somebody
) -> None:
    address = new_address()
    await owner.done("POST", "/v1/account/name", {"name": "Analytical Engines"})
    invitation = {"address": address, "role": "billing"}
    made = await owner.done("POST", "/v1/account/invitations", invitation)
    [letter] = await house.mails(address)
    assert (letter.fields["account"], letter.fields["by"]) == ("Analytical Engines", "Ada")
    assert (await owner.done("GET", "/v1/account/invitations"))["invitations"] == [made]
    link = letter.fields["link"].rpartition("/")[2]
    new = await house.entered(address, "/v1/auth/invitation", link)
    assert new.account_id == owner.account_id
    members = (await new.done("GET", "/v1/account/members"))["members"]
    assert [(one["address"], one["role"]) for one in members] == [
        (owner.address, "owner"),
        (address, "billing"),
    ]
    assert (await owner.done("GET", "/v1/account/invitations"))["invitations"] == []
    # It made no account of its own.
    assert len((await new.done("GET", "/v1/auth/session"))["accounts"]) == 1


async def test_who_is_here_already_signs_in_and_takes_it_up(house: House, owner: Somebody) -> None:
    guest, stranger = await house.somebody(), await house.somebody()
    invitation = {"address": guest.address, "role": "developer"}
    await owner.done("POST", "/v1/account/invitations", invitation)
    link = await house.link(guest.address, "invitation")
    body = {"link": link, "password": PASSWORD}
    reply = await house.ask("POST", "/v1/auth/invitation", body)
    assert (reply.status, reply.json["code"]) == (409, "address-known")
    # A link that fell into other hands is good for nobody else.
    assert await code_of(stranger, "POST", "/v1/auth/invitations", {"link": link}) == "link-unknown"
    joined = await guest.done("POST", "/v1/auth/invitations", {"link": link})
    assert joined == {"account_id": owner.account_id}
    assert await code_of(guest, "POST", "/v1/auth/invitations", {"link": link}) == "link-unknown"
    page = await guest.done("POST", "/v1/auth/session/account", joined)
    assert (page["account_id"], page["role"]) == (owner.account_id, "developer")
    assert len(page["accounts"]) == 2


async def test_an_invitation_is_taken_back_or_over_after_a_week(
    house: House, owner: Somebody
) -> None:
    address = new_address()
    invitation = {"address": address, "role": "viewer"}
    made = await owner.done("POST", "/v1/account/invitations", invitation)
    link = await house.link(address, "invitation")
    await owner.done("DELETE", f"/v1/account/invitations/{made['id']}")
    body = {"link": link, "password": PASSWORD}
    assert (await house.ask("POST", "/v1/auth/invitation", body)).status == 404
    path = f"/v1/account/invitations/{made['id']}"
    assert await code_of(owner, "DELETE", path) == "invitation-unknown"
    await owner.done("POST", "/v1/account/invitations", invitation)
    link = await house.link(address, "invitation")
    house.clock.forward(days=7)
    reply = await house.ask("POST", "/v1/auth/invitation", body | {"link": link})
    assert reply.status == 404


async def test_a_second_invitation_replaces_the_first(house: House, owner: Somebody) -> None:
    address, links = new_address(), []
    for role in ("viewer", "developer"):
        await owner.done(
            "POST", "/v1/account/invitations", {"address": address.upper(), "role": role}
        )
        links.append(await house.link(address, "invitation"))
    body = {"link": links[0], "password": PASSWORD}
    assert (await house.ask("POST", "/v1/auth/invitation", body)).status == 404
    new = await house.entered(address, "/v1/auth/invitation", links[1])
    assert (await new.done("GET", "/v1/auth/session"))["role"] == "developer"


async def test_a_member_is_not_invited_again(owner: Somebody) -> None:
    body = {"address": owner.address, "role": "viewer"}
    assert await code_of(owner, "POST", "/v1/account/invitations", body) == "member-known"


async def test_somebody_who_is_removed_has_lost_the_account_with_the_next_request(
    house: House, owner: Somebody
) -> None:
    member = await house.member(owner, Role.DEVELOPER)
    assert (await member.ask("GET", "/v1/keys")).status == 200
    await owner.done("DELETE", f"/v1/account/members/{member.id}")
    for path in ("/v1/keys", "/v1/account", "/v1/account/members"):
        assert await code_of(member, "GET", path) == "permission-missing"
    page = await member.done("GET", "/v1/auth/session")
    assert (page["account_id"], page["role"], page["accounts"]) == (None, None, [])
    body = {"account_id": owner.account_id}
    assert await code_of(member, "POST", "/v1/auth/session/account", body) == "session-unknown"


async def test_a_role_counts_with_the_next_request(house: House, owner: Somebody) -> None:
    member = await house.member(owner, Role.VIEWER)
    assert await code_of(member, "POST", "/v1/keys", {"label": "x"}) == "permission-missing"
    await owner.done("POST", f"/v1/account/members/{member.id}", {"role": "developer"})
    assert (await member.ask("POST", "/v1/keys", {"label": "x"})).status == 201


async def test_nobody_makes_owners_but_owners(house: House, owner: Somebody) -> None:
    admin = await house.member(owner, Role.ADMIN)
    mine = f"/v1/account/members/{admin.id}"
    theirs = f"/v1/account/members/{owner.id}"
    invitation = {"address": new_address(), "role": "owner"}
    assert await code_of(admin, "POST", mine, {"role": "owner"}) == "role-exceeded"
    assert await code_of(admin, "POST", theirs, {"role": "viewer"}) == "role-exceeded"
    assert await code_of(admin, "DELETE", theirs) == "role-exceeded"
    assert await code_of(admin, "POST", "/v1/account/invitations", invitation) == "role-exceeded"
    await owner.done("POST", mine, {"role": "owner"})
    await admin.done("DELETE", theirs)


async def test_who_may_invite_no_more_has_invited_nobody(house: House, owner: Somebody) -> None:
    admin, address = await house.member(owner, Role.ADMIN), new_address()
    await admin.done("POST", "/v1/account/invitations", {"address": address, "role": "admin"})
    link = await house.link(address, "invitation")
    await owner.done("DELETE", f"/v1/account/members/{admin.id}")
    body = {"link": link, "password": PASSWORD}
    assert (await house.ask("POST", "/v1/auth/invitation", body)).status == 404


async def test_an_account_keeps_an_owner_however_many_leave_at_once(
    house: House, owner: Somebody
) -> None:
    other = await house.member(owner, Role.OWNER)
    path = f"/v1/auth/accounts/{owner.account_id}"
    replies = await asyncio.gather(*(who.ask("DELETE", path) for who in (owner, other)))
    assert sorted(reply.status for reply in replies) == [204, 409]
    left = owner if replies[0].status == 409 else other
    mine = f"/v1/account/members/{left.id}"
    assert await code_of(left, "POST", mine, {"role": "admin"}) == "owner-wanted"
    assert await code_of(left, "DELETE", mine) == "owner-wanted"


async def test_everybody_may_leave(house: House, owner: Somebody) -> None:
    viewer = await house.member(owner, Role.VIEWER)
    await viewer.done("DELETE", f"/v1/auth/accounts/{owner.account_id}")
    members = (await owner.done("GET", "/v1/account/members"))["members"]
    assert [one["person_id"] for one in members] == [owner.id]


@pytest.mark.parametrize("name", ["0", "x", "-1", "9" * 16, "9" * 400, "%00", "²"])
async def test_who_is_no_member_is_unknown(owner: Somebody, name: str) -> None:
    path = f"/v1/account/members/{name}"
    assert await code_of(owner, "POST", path, {"role": "viewer"}) == "member-unknown"
    assert await code_of(owner, "DELETE", path) == "member-unknown"
    assert await code_of(owner, "DELETE", f"/v1/auth/accounts/{name}") == "member-unknown"


async def test_another_accounts_members_and_invitations_are_unknown(
    house: House, owner: Somebody
) -> None:
    other = await house.somebody()
    invitation = {"address": new_address(), "role": "viewer"}
    made = await other.done("POST", "/v1/account/invitations", invitation)
    member = f"/v1/account/members/{other.id}"
    assert await code_of(owner, "POST", member, {"role": "viewer"}) == "member-unknown"
    assert await code_of(owner, "DELETE", member) == "member-unknown"
    path = f"/v1/account/invitations/{made['id']}"
    assert await code_of(owner, "DELETE", path) == "invitation-unknown"
    body = {"account_id": other.account_id}
    assert await code_of(owner, "POST", "/v1/auth/session/account", body) == "session-unknown"


async def test_owners_are_told_of_a_key_that_a_member_makes(house: House, owner: Somebody) -> None:
    developer = await house.member(owner, Role.DEVELOPER)
    await house.mails(owner.address)
    made = await developer.done("POST", "/v1/keys", {"label": "ci"})
    [letter] = await house.mails(owner.address)
    assert letter.kind == "key_created"
    assert letter.fields["prefix"] == made["prefix"]
    assert letter.fields["by"] == developer.address
    assert made["secret"] not in str(letter.fields)
    assert await house.mails(developer.address) == []


async def test_a_member_has_no_more_of_keys_than_the_role_has(
    house: House, owner: Somebody
) -> None:
    """A key that could do more than its maker would be a way up."""
    developer = await house.member(owner, Role.DEVELOPER)
    made = await developer.done("POST", "/v1/keys", {"label": "ci", "scopes": ["convert"]})
    assert made["scopes"] == ["convert"]
    viewer = await house.member(owner, Role.VIEWER)
    path = f"/v1/keys/{made['id']}"
    assert (await viewer.ask("GET", path)).status == 200
    assert await code_of(viewer, "DELETE", path) == "permission-missing"
    billing = await house.member(owner, Role.BILLING)
    assert await code_of(billing, "GET", "/v1/keys") == "permission-missing"
