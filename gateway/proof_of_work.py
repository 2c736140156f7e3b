"""A proof of work in place of a foreign captcha: a form costs its sender some tenths of a second.

The service hands out a challenge and remembers nothing; whoever wants to send a form looks for the
number that was hashed; checking takes one hash. The protocol is ALTCHA's (altcha.org), so that its
widget, its libraries, or forty lines of JavaScript can look:

    challenge = SHA-256(salt || number), in hexadecimal digits     signature = HMAC(key, challenge)
    proof = base64(JSON {algorithm, challenge, number, salt, signature})

The salt says until when, since when and for which form it is good. It ends with a `&`, so that no
digit of the number can be moved into it to make another time of the same hash. A proof is good
once: what was shown is remembered until it is over, for all processes together.
"""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs

import msgspec

from gateway.errors import ProofRefused

ALGORITHM = "SHA-256"
# Half of it is looked through on average: below half a second in a browser, 20 ms in Python. A
# sender of a million forms needs half a day of a core, and cannot share the work between forms.
HARDNESS = 100_000
# The most that anybody is asked for: some seconds in a browser.
HARDNESS_MAX = 2_000_000
# Somebody writes a long message in one sitting.
LIFETIME = timedelta(minutes=30)
# Nobody reads a form and fills it in within this; programs do.
TIME_TRAP = timedelta(seconds=3)
# A proof is about 400 characters.
PROOF_CHARS_MAX = 2000

# Says whether a hash was shown for the first time; remembered until the time given.
Spend = Callable[[bytes, datetime], Awaitable[bool]]


class Challenge(msgspec.Struct, frozen=True, kw_only=True):
    """What a form's sender has to find the number of. In ALTCHA's words."""

    algorithm: str
    # The hash that is to be found again.
    challenge: str
    # What stands before the number.
    salt: str
    # The number is no larger than this.
    maxnumber: int
    signature: str


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """A challenge and its number."""

    algorithm: str
    challenge: str
    number: int
    salt: str
    signature: str
    # How long it took, as the widget adds it; of no meaning here.
    took: float | None = None


class ProofOfWork:
    """Hands out challenges, and takes proofs. All processes with one key are one."""

    def __init__(self, key: bytes, spend: Spend, clock: Callable[[], datetime]) -> None:
        self._key = key
        self._spend = spend
        self._clock = clock

    def challenge(self, purpose: str, hardness: int = HARDNESS) -> Challenge:
        """Make one for a form; `purpose` is a word of ours."""
        now = self._clock()
        salt = (
            f"{secrets.token_hex(12)}?expires={_seconds(now + LIFETIME)}"
            f"&since={_seconds(now)}&for={purpose}&"
        )
        hashed = _hash(salt, secrets.randbelow(min(hardness, HARDNESS_MAX) + 1))
        return Challenge(
            algorithm=ALGORITHM,
            challenge=hashed,
            salt=salt,
            maxnumber=min(hardness, HARDNESS_MAX),
            signature=self._signature(hashed),
        )

    async def check(self, text: str, purpose: str, *, trap: timedelta = TIME_TRAP) -> None:
        """Take a proof for a form, which is then worth nothing any more.

        `trap`: how much time has passed at the least. Raises ProofRefused, LedgerUnavailable.
        """
        proof = parse(text)
        genuine = proof.algorithm == ALGORITHM and hmac.compare_digest(
            self._signature(proof.challenge).encode(), proof.signature.encode()
        )
        if not genuine or _hash(proof.salt, proof.number) != proof.challenge:
            raise ProofRefused("this proof of work is wrong; ask for a new challenge and solve it")
        # From here on the salt is ours: the hash in our signature covers it.
        said = parse_qs(proof.salt.partition("?")[2])
        if said["for"] != [purpose]:
            raise ProofRefused("this proof of work is for another form; ask for this form's")
        now = _seconds(self._clock())
        expires = int(said["expires"][0])
        if now >= expires:
            raise ProofRefused("this proof of work is too old; ask for a new challenge")
        if now - int(said["since"][0]) < trap.total_seconds():
            raise ProofRefused(
                "this form came back faster than anybody can fill it in; wait some seconds and"
                " send it again, with the same proof"
            )
        spent = hashlib.sha256(proof.challenge.encode()).digest()
        if not await self._spend(spent, datetime.fromtimestamp(expires, UTC)):
            raise ProofRefused("this proof of work was used before; ask for a new challenge")

    def _signature(self, hashed: str) -> str:
        return hmac.new(self._key, hashed.encode(), hashlib.sha256).hexdigest()


def parse(text: str) -> Proof:
    """Read a proof as it is sent. Raises ProofRefused."""
    try:
        proof = msgspec.json.decode(base64.b64decode(text, validate=True), type=Proof)
    except (msgspec.MsgspecError, ValueError) as error:
        raise ProofRefused(
            "proof is base64 of the JSON {algorithm, challenge, number, salt, signature}"
        ) from error
    if not 0 <= proof.number <= HARDNESS_MAX or not proof.signature.isascii():
        raise ProofRefused("this proof of work is wrong; ask for a new challenge and solve it")
    return proof


def solve(challenge: Challenge) -> str:
    """Find the number, as a client does, and give the proof. Raises ValueError if there is none."""
    number = next(
        (
            number
            for number in range(challenge.maxnumber + 1)
            if _hash(challenge.salt, number) == challenge.challenge
        ),
        None,
    )
    if number is None:
        raise ValueError("no number up to maxnumber gives this challenge")
    proof = Proof(
        algorithm=challenge.algorithm,
        challenge=challenge.challenge,
        number=number,
        salt=challenge.salt,
        signature=challenge.signature,
    )
    return base64.b64encode(msgspec.json.encode(proof)).decode()


def _hash(salt: str, number: int) -> str:
    return hashlib.sha256(f"{salt}{number}".encode()).hexdigest()


def _seconds(at: datetime) -> int:
    return int(at.timestamp())
