"""The proof of work: ALTCHA's protocol, bound to a form and a time, good once, not to be forged."""

import base64
import hashlib
import json
from datetime import UTC, datetime, timedelta

import pytest

from gateway.errors import ProofRefused
from gateway.proof_of_work import (
    LIFETIME,
    TIME_TRAP,
    Challenge,
    ProofOfWork,
    parse,
    solve,
)

# Enough to be looked for, and found at once.
HARDNESS = 50


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 11, 20, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


class Spent:
    """What several processes share."""

    def __init__(self) -> None:
        self.until: dict[bytes, datetime] = {}

    async def __call__(self, digest: bytes, until: datetime) -> bool:
        fresh = digest not in self.until
        self.until[digest] = until
        return fresh


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def spent() -> Spent:
    return Spent()


@pytest.fixture
def work(clock: Clock, spent: Spent) -> ProofOfWork:
    return ProofOfWork(bytes(32), spent, clock)


def solved(work: ProofOfWork, clock: Clock, purpose: str = "contact") -> str:
    """A proof of somebody who read the form first."""
    proof = solve(work.challenge(purpose, HARDNESS))
    clock.now += TIME_TRAP
    return proof


def changed(proof: str, **fields: object) -> str:
    return base64.b64encode(
        json.dumps(json.loads(base64.b64decode(proof)) | fields).encode()
    ).decode()


def test_a_challenge_is_what_altchas_clients_expect(work: ProofOfWork) -> None:
    challenge = work.challenge("contact", HARDNESS)
    assert challenge.algorithm == "SHA-256"
    number = json.loads(base64.b64decode(solve(challenge)))["number"]
    assert 0 <= number <= challenge.maxnumber == HARDNESS
    hashed = hashlib.sha256(f"{challenge.salt}{number}".encode()).hexdigest()
    assert hashed == challenge.challenge


async def test_a_proof_is_good_once(work: ProofOfWork, clock: Clock, spent: Spent) -> None:
    proof = solved(work, clock)
    await work.check(proof, "contact")
    with pytest.raises(ProofRefused, match="used before"):
        await work.check(proof, "contact")
    # Another process with the same key and the same memory.
    with pytest.raises(ProofRefused, match="used before"):
        await ProofOfWork(bytes(32), spent, clock).check(proof, "contact")
    assert list(spent.until.values()) == [clock.now - TIME_TRAP + LIFETIME]


async def test_what_the_widget_adds_does_no_harm(work: ProofOfWork, clock: Clock) -> None:
    await work.check(changed(solved(work, clock), took=812, worker=True), "contact")


async def test_a_proof_is_for_one_form(work: ProofOfWork, clock: Clock) -> None:
    with pytest.raises(ProofRefused, match="another form"):
        await work.check(solved(work, clock, "sign-in"), "contact")


async def test_a_proof_ends_with_its_time(work: ProofOfWork, clock: Clock) -> None:
    proof = solved(work, clock)
    clock.now += LIFETIME - TIME_TRAP
    with pytest.raises(ProofRefused, match="too old"):
        await work.check(proof, "contact")


async def test_a_form_that_comes_back_at_once_was_filled_in_by_a_program(
    work: ProofOfWork, clock: Clock
) -> None:
    proof = solve(work.challenge("contact", HARDNESS))
    clock.now += TIME_TRAP - timedelta(seconds=1)
    with pytest.raises(ProofRefused, match="faster"):
        await work.check(proof, "contact")
    # Whoever was only quick sends it once more.
    clock.now += timedelta(seconds=1)
    await work.check(proof, "contact")


async def test_nothing_of_a_proof_can_be_changed(work: ProofOfWork, clock: Clock) -> None:
    proof = solved(work, clock)
    said = json.loads(base64.b64decode(proof))
    other = ProofOfWork(bytes(31) + b"x", Spent(), clock)
    later = said["salt"].replace("expires=1", "expires=9")
    own = hashlib.sha256(f"{later}0".encode()).hexdigest()
    for forged in (
        changed(proof, number=said["number"] + 1),
        changed(proof, salt=later),
        changed(proof, salt=later, number=0, challenge=own),
        changed(proof, signature="0" * 64),
        changed(proof, signature="é"),
        changed(proof, algorithm="SHA-1"),
        solved(other, clock),
    ):
        with pytest.raises(ProofRefused):
            await work.check(forged, "contact")
    await work.check(proof, "contact")


async def test_digits_that_move_from_the_number_into_the_salt_change_nothing(
    work: ProofOfWork, clock: Clock
) -> None:
    """The same hash of another split must neither live longer nor be good once more."""
    while True:
        challenge = work.challenge("contact", HARDNESS)
        proof = solve(challenge)
        number = str(json.loads(base64.b64decode(proof))["number"])
        if len(number) == 2 and number[1] != "0":
            break
    moved = changed(proof, salt=challenge.salt + number[0], number=int(number[1]))
    clock.now += TIME_TRAP
    await work.check(moved, "contact")
    with pytest.raises(ProofRefused, match="used before"):
        await work.check(proof, "contact")
    clock.now += LIFETIME
    with pytest.raises(ProofRefused, match="too old"):
        await work.check(moved, "contact")


@pytest.mark.parametrize(
    "text",
    [
        *("", "x", "e30=", "bnVsbA==", base64.b64encode(b"[" * 1400).decode(), "\0", "é" * 9),
        base64.b64encode(b'{"algorithm":"SHA-256","challenge":"","number":-1}').decode(),
    ],
)
def test_what_is_no_proof_is_refused(text: str) -> None:
    with pytest.raises(ProofRefused):
        parse(text)


def test_a_challenge_without_a_number_has_no_solution() -> None:
    wrong = Challenge(
        algorithm="SHA-256", challenge="0" * 64, salt="x&", maxnumber=10, signature=""
    )
    with pytest.raises(ValueError, match="no number"):
        solve(wrong)
