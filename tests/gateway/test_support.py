"""The contact form, tickets and incidents over HTTP: who may, who may not, and what is kept."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio

from engine.engine import Engine
from gateway.proof_of_work import Challenge, solve
from ledger.people.roles import Role, StaffRole
from tests.gateway.persons import House, Somebody, new_address, open_house
from tests.gateway.service import Reply
from tests.postgres import Server

pytestmark = pytest.mark.asyncio(loop_scope="session")

STAFF_ADDRESS = "help@convert.example"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def house(engine: Engine, postgres: Server) -> AsyncIterator[House]:
    mail = {"backend": "off", "support": STAFF_ADDRESS}
    # The form is tried from another network than this machine.
    server = {"trusted_proxies": "127.0.0.1"}
    async with open_house(engine, postgres, mail=mail, server=server) as house:
        yield house


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def member(house: House) -> Somebody:
    return await house.somebody()


async def of_staff(house: House, role: StaffRole) -> Somebody:
    somebody = await house.somebody()
    await house.ledger.people.staff.give(somebody.id, role)
    await somebody.use_totp()
    return somebody


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def helper(house: House) -> Somebody:
    return await of_staff(house, StaffRole.SUPPORT)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def operator(house: House) -> Somebody:
    return await of_staff(house, StaffRole.OPS)


class Visitor:
    """Somebody in front of the contact form, in a network of their own."""

    count = 0

    def __init__(self, house: House) -> None:
        Visitor.count += 1
        self.house = house
        self.address = new_address()
        self.headers = {"X-Forwarded-For": f"198.51.{Visitor.count}.7"}

    async def proof(self) -> str:
        """Read the form, and solve what it asks."""
        reply = await self.house.ask("GET", "/v1/contact/challenge", headers=self.headers)
        assert reply.status == 200
        found = solve(Challenge(**reply.json))
        self.house.clock.forward(seconds=10)
        return found

    async def write(self, **fields: Any) -> Reply:
        if "proof" not in fields:
            fields["proof"] = await self.proof()
        form = {"address": self.address, "subject": "A file", "message": "It does not open."}
        return await self.house.ask("POST", "/v1/contact", form | fields, headers=self.headers)


async def tickets(helper: Somebody) -> dict[str, Any]:
    page = await helper.done("GET", "/v1/staff/tickets?limit=200")
    return {one["ticket"]["id"]: one for one in page["tickets"]}


async def test_a_visitor_writes_is_answered_by_mail_and_it_is_on_record(
    house: House, helper: Somebody
) -> None:
    visitor = Visitor(house)
    reply = await visitor.write(name="Ada", message="It does not open.\r\nWhy?")
    assert reply.status == 202
    ticket_id = reply.json["ticket"]
    [received] = await house.mails(visitor.address)
    assert (received.kind, received.fields) == ("contact_received", {"ticket": ticket_id})
    [told] = await house.mails(STAFF_ADDRESS)
    assert told.fields["message"] == "It does not open.\nWhy?"
    shown = await helper.done("GET", f"/v1/staff/tickets/{ticket_id}")
    assert shown["ticket"]["address"] == visitor.address
    await helper.done("POST", f"/v1/staff/tickets/{ticket_id}/answer", {"message": "Try again."})
    [answered] = await house.mails(visitor.address)
    assert (answered.kind, answered.fields["message"]) == ("ticket_answered", "Try again.")
    await helper.done("POST", f"/v1/staff/tickets/{ticket_id}/close")
    assert (await tickets(helper))[ticket_id]["ticket"]["state"] == "closed"
    acts = [one for one in await house.ledger.actions.list() if ticket_id in one.parameters]
    assert {one.actor for one in acts} == {f"person:{helper.id}"}
    assert [one.action for one in acts] == ["closeStaffTicket", "answerTicket", "getStaffTicket"]
    assert "Try again." not in str([(one.parameters, one.detail) for one in acts])


async def test_a_form_without_its_proof_is_refused(house: House) -> None:
    visitor = Visitor(house)
    for proof in ("", "x", "e30="):
        reply = await visitor.write(proof=proof)
        assert (reply.status, reply.json["code"]) == (403, "proof-refused")
    proof = await visitor.proof()
    assert (await visitor.write(proof=proof)).status == 202
    assert (await visitor.write(proof=proof)).json["code"] == "proof-refused"


async def test_a_form_that_comes_back_faster_than_anybody_types_is_refused(house: House) -> None:
    visitor = Visitor(house)
    reply = await house.ask("GET", "/v1/contact/challenge", headers=visitor.headers)
    refused = await visitor.write(proof=solve(Challenge(**reply.json)))
    assert (refused.status, refused.json["code"]) == (403, "proof-refused")


async def test_a_program_that_fills_in_everything_is_thanked_and_not_kept(
    house: House, helper: Somebody
) -> None:
    visitor = Visitor(house)
    before = await tickets(helper)
    reply = await visitor.write(website="https://cheap.example", proof="x")
    assert reply.status == 202
    assert await tickets(helper) == before
    assert await house.mails(visitor.address) == []


async def test_a_network_writes_a_few_times_an_hour(house: House) -> None:
    visitor = Visitor(house)
    statuses = [(await visitor.write()).status for _ in range(6)]
    assert statuses == [202] * 5 + [429]
    assert (await Visitor(house).write()).status == 202


@pytest.mark.parametrize(
    "wrong",
    [
        *({"address": "nobody"}, {"address": "a@b.org\r\nBcc: c@d.org"}, {"subject": "a\nb"}),
        *({"subject": " "}, {"subject": "x" * 151}, {"message": ""}, {"message": "\0"}),
        *({"message": "x" * 5001}, {"name": "\u202eadA"}, {"more": 1}, {"message": 7}),
        *({"subject": "\u2028"}, {"message": "\ud800"}),
    ],
)
async def test_bad_input_is_told_and_costs_no_proof(house: House, wrong: dict[str, Any]) -> None:
    reply = await Visitor(house).write(proof="x", **wrong)
    assert (reply.status, reply.json["code"]) == (400, "malformed-request")


async def test_a_member_writes_goes_on_and_closes(member: Somebody, helper: Somebody) -> None:
    wanted = {"subject": "An invoice", "message": "Where is it?"}
    ticket_id = (await member.done("POST", "/v1/account/tickets", wanted))["ticket"]
    at = f"/v1/account/tickets/{ticket_id}"
    await helper.done("POST", f"/v1/staff/tickets/{ticket_id}/answer", {"message": "Here."})
    await member.done("POST", f"{at}/messages", {"message": "Thanks."})
    page = await member.done("GET", at)
    assert page["ticket"]["state"] == "open"
    assert [(one["author"], one["person_id"], one["text"]) for one in page["messages"]] == [
        ("customer", member.id, "Where is it?"),
        ("staff", None, "Here."),
        ("customer", member.id, "Thanks."),
    ]
    await member.done("POST", f"{at}/close")
    [item] = (await member.done("GET", "/v1/account/tickets"))["tickets"]
    assert (item["id"], item["state"]) == (ticket_id, "closed")


async def test_tickets_are_given_in_pages(house: House) -> None:
    writer = await house.somebody()
    for number in range(3):
        house.clock.forward(minutes=1)
        wanted = {"subject": f"Number {number}", "message": "?"}
        await writer.done("POST", "/v1/account/tickets", wanted)
    first = await writer.done("GET", "/v1/account/tickets?limit=2")
    rest = await writer.done("GET", f"/v1/account/tickets?limit=2&cursor={first['next']}")
    subjects = [one["subject"] for one in (*first["tickets"], *rest["tickets"])]
    assert subjects == ["Number 2", "Number 1", "Number 0"]
    assert rest["next"] is None
    for wrong in ("cursor=x", "cursor=2026-11-20_T", "limit=0", "limit=201"):
        reply = await writer.ask("GET", f"/v1/account/tickets?{wrong}")
        assert (reply.status, reply.json["code"]) == (400, "malformed-request")


async def test_a_ticket_of_another_account_is_not_there(house: House, member: Somebody) -> None:
    wanted = {"subject": "Mine", "message": "?"}
    ticket_id = (await member.done("POST", "/v1/account/tickets", wanted))["ticket"]
    at = f"/v1/account/tickets/{ticket_id}"
    eve = await house.somebody()
    for method, path, body in (
        ("GET", at, None),
        ("POST", f"{at}/messages", {"message": "Hi"}),
        ("POST", f"{at}/close", None),
    ):
        reply = await eve.ask(method, path, body)
        assert (reply.status, reply.json["code"]) == (404, "ticket-unknown")


async def test_only_staff_of_the_right_kind_sees_tickets_and_incidents(
    house: House, member: Somebody, helper: Somebody, operator: Somebody
) -> None:
    viewer = await house.member(member, Role.VIEWER)
    seen = {
        who: [(await one.ask("GET", path)).status for path in STAFF_PATHS]
        for who, one in {
            "member": member,
            "viewer": viewer,
            "support": helper,
            "ops": operator,
        }.items()
    }
    assert seen == {
        "member": [403, 403],
        "viewer": [403, 403],
        "support": [200, 403],
        "ops": [403, 200],
    }


STAFF_PATHS = ("/v1/staff/tickets", "/v1/staff/incidents")


async def test_an_incident_has_its_clock_its_notes_and_its_end(
    house: House, operator: Somebody
) -> None:
    known = house.clock.now - timedelta(hours=2)
    report = {
        "kind": "personal-data",
        "severity": "high",
        "title": "A backup was readable",
        "text": "Found by a scan. Closed at 09:10.",
        "aware_at": known.isoformat(),
    }
    made = await operator.done("POST", "/v1/staff/incidents", report)
    at = f"/v1/staff/incidents/{made['id']}"
    due = (known + timedelta(hours=72)).isoformat().replace("+00:00", "Z")
    assert (made["authority_by"], made["state"]) == (due, "open")
    early = await operator.ask("POST", at, {"state": "closed", "text": "Done."})
    assert (early.status, early.json["code"]) == (409, "incident-refused")
    told = {"risk": "some", "authority_at": house.clock.now.isoformat(), "text": "By its form."}
    assert (await operator.done("POST", at, told))["authority_by"] is None
    closed = await operator.done("POST", at, {"state": "closed", "text": "Keys are rotated."})
    assert closed["closed_at"] is not None
    page = await operator.done("GET", at)
    texts = [report["text"], told["text"], "Keys are rotated."]
    assert [note["text"] for note in page["notes"]] == texts
    assert {note["actor"] for note in page["notes"]} == {f"person:{operator.id}"}
    [item] = (await operator.done("GET", "/v1/staff/incidents?state=closed"))["incidents"]
    assert item["id"] == made["id"]
    acts = [one for one in await house.ledger.actions.list() if made["id"] in one.parameters]
    # The refused one is on record as well.
    assert [one.action for one in acts] == ["getIncident", *["changeIncident"] * 3]
    assert [one.outcome for one in acts] == ["done", "done", "done", "failed"]


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"kind": "fire"}, "malformed-request"),
        ({"title": "a\nb"}, "malformed-request"),
        ({"aware_at": "2026-11-20T12:00:00"}, "malformed-request"),
        ({"aware_at": "2999-01-01T00:00:00Z"}, "incident-refused"),
        ({"began_at": "2999-01-01T00:00:00Z"}, "incident-refused"),
    ],
)
async def test_an_incident_that_cannot_be_is_not_put_on_record(
    operator: Somebody, wrong: dict[str, str], code: str
) -> None:
    report = {"kind": "security", "severity": "low", "title": "x", "text": "x"} | wrong
    reply = await operator.ask("POST", "/v1/staff/incidents", report)
    assert reply.json["code"] == code
