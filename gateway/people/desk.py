"""What people do at the door: sign up, sign in, show who they are again, set a password anew.

Everything here that takes an address answers alike whether it is known, and takes as long: a mail
says the rest to who reads that mailbox. Handlers are thin; the portal calls the same functions.
"""

from collections.abc import Callable, Mapping

import msgspec

from gateway.config import Settings
from gateway.errors import (
    CodeRefused,
    CodeWanted,
    HashingBusy,
    SignInRefused,
    SignUpClosed,
    TooManyTries,
)
from gateway.limits import policies
from gateway.people import codes, links, rules
from gateway.people.evenly import evenly
from gateway.people.passwords import Passwords
from gateway.people.throttle import Throttle
from ledger.errors import LinkUnknown, PersonUnknown
from ledger.people.people import People
from ledger.people.person import Begun, Client, Credentials, FoundLink, Hashed, Link, Session
from ledger.people.secret import Shown, hash_of, new_device

# What becomes of a sign-in, for the figures.
OUTCOMES: Mapping[type[Exception], str] = {
    SignInRefused: "refused",
    CodeWanted: "code_wanted",
    CodeRefused: "code_refused",
    TooManyTries: "slowed",
    HashingBusy: "busy",
}

SIGN_INS = ("done", *OUTCOMES.values())


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody shows to be let in: a password, and a code where one is asked for."""

    password: str
    code: str | None = None
    recovery_code: str | None = None
    # A proof of work came along, and is right.
    worked: bool = False


class SignedIn(msgspec.Struct, frozen=True, kw_only=True):
    """A session that began, and what its client keeps to be known again."""

    begun: Begun
    device: str


class PeopleDesk:
    """One for the application: it has the threads that hash, and the counts of tries."""

    def __init__(
        self,
        people: People,
        settings: Settings,
        throttle: Throttle,
        passwords: Passwords,
        count: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.people = people
        self.passwords = passwords
        self.throttle = throttle
        self._settings = settings
        self._count = count

    def demand_open(self) -> None:
        """Raise SignUpClosed where nobody signs up."""
        if self._settings.accounts.signup != "open":
            raise SignUpClosed(
                "the operator of this service lets in who was invited; ask for an invitation"
            )

    async def sign_up(self, address: str, name: str, client: Client) -> None:
        """Send a mail to somebody who wants an account. Raises SignUpClosed, TooManyTries."""
        self.demand_open()
        await self.throttle.hit_network(policies.SIGN_UP_NETWORK, client.network)
        await self.throttle.hit(policies.SIGN_UP_ADDRESS, self._alias(address))
        link, base = self.new_link(), links.base_of(self._settings)
        async with evenly():
            await self.people.links.ask_sign_up(address, name, link, base)

    async def confirm_sign_up(
        self, text: str, password: str, name: str, client: Client
    ) -> SignedIn:
        """Make the person and the account, and sign in.

        Who reads the mail chooses the password, so nobody prepares an account for somebody else.
        Raises LinkUnknown, PasswordRefused, HashingBusy, TooManyTries.
        """
        hashed = await self._chosen(
            text, purpose="sign_up", password=password, name=name, client=client
        )
        begun = await self.people.links.sign_up(
            text, hashed, name, client, credits=self._settings.accounts.signup_credits
        )
        return await self._known_from_now_on(begun)

    async def accept_invitation(
        self, text: str, password: str, name: str, client: Client
    ) -> SignedIn:
        """Take up an invitation as somebody new, and sign in. Raises AddressKnown, as above."""
        hashed = await self._chosen(
            text, purpose="invitation", password=password, name=name, client=client
        )
        begun = await self.people.members.accept_as_new(text, hashed, name, client)
        return await self._known_from_now_on(begun)

    async def sign_in(
        self, address: str, proof: Proof, device: str | None, client: Client
    ) -> SignedIn:
        """Let somebody in.

        Raises SignInRefused, CodeWanted, CodeRefused, TooManyTries, HashingBusy.
        """
        try:
            signed_in = await self._sign_in(address, proof, device, client)
        except tuple(OUTCOMES) as error:
            self._count(OUTCOMES[type(error)])
            raise
        self._count("done")
        return signed_in

    async def _sign_in(
        self, address: str, proof: Proof, device: str | None, client: Client
    ) -> SignedIn:
        shown = _device(device)
        credentials, known = await self._looked_up(address, shown, client, worked=proof.worked)
        checked = await self.passwords.check(proof.password, credentials)
        if credentials is None or not checked.right or credentials.person.suspended_at:
            raise SignInRefused("the address or the password is wrong")
        mfa = await self._second_factor(credentials, proof)
        shown = shown if shown is not None and known else new_device()
        try:
            begun = await self.people.persons.sign_in(
                credentials, client, mfa=mfa, device=shown, device_known=known
            )
        except PersonUnknown as error:  # the password was changed while this one was checked
            raise SignInRefused("the address or the password is wrong") from error
        if checked.stale:
            hashed = await self.passwords.hash(proof.password)
            await self.people.persons.rehash(credentials, hashed)
        return SignedIn(begun=begun, device=shown.text)

    async def step_up(self, session: Session, secret: str, proof: Proof) -> Begun:
        """Check the person of a session once more; the session has a new secret after it.

        Raises as `sign_in` does.
        """
        await self.throttle.hit(policies.STEP_UP, str(session.person_id))
        credentials = await self.people.persons.credentials_of(session.person_id)
        if not (await self.passwords.check(proof.password, credentials)).right:
            raise SignInRefused("the password is wrong")
        mfa = await self._second_factor(credentials, proof)
        return await self.people.sessions.step_up(secret, mfa=mfa)

    async def ask_reset(self, address: str, client: Client) -> None:
        """Send a link to set a password anew, if there is somebody. Raises TooManyTries."""
        await self.throttle.hit_network(policies.RESET_NETWORK, client.network)
        await self.throttle.hit(policies.RESET_ADDRESS, self._alias(address))
        async with evenly():
            await self.people.links.ask_reset(address, self.new_link())

    async def reset(self, text: str, password: str, client: Client) -> str:
        """Set a password anew; gives a device, so that guesses of others keep nobody out.

        It signs nobody in: a second factor is asked for as ever. Raises as `confirm_sign_up`.
        """
        hashed = await self._chosen(
            text, purpose="reset", password=password, name="", client=client
        )
        person_id = await self.people.links.reset(text, hashed)
        device = new_device()
        await self.people.persons.remember_device(person_id, device)
        return device.text

    async def change_password(self, session: Session, password: str) -> None:
        """Choose another password; all other sessions and all devices are forgotten.

        Raises PasswordRefused, HashingBusy.
        """
        accepted = rules.accepted(password, (session.address, session.name))
        hashed = await self.passwords.hash(accepted)
        await self.people.persons.set_password(session.person_id, hashed, kept=session.id)

    async def ask_address(self, session: Session, address: str) -> None:
        """Send a link to the address that somebody wants to have. Raises TooManyTries."""
        await self.throttle.hit(policies.CHANGE_ADDRESS, str(session.person_id))
        link, base = self.new_link(), links.base_of(self._settings)
        async with evenly():
            await self.people.links.ask_address(session.person_id, address, link, base)

    async def change_address(self, text: str, client: Client) -> None:
        """Let the person of a link have its address. Raises LinkUnknown, TooManyTries."""
        await self.throttle.hit_network(policies.LINK_NETWORK, client.network)
        await self.people.links.change_address(text)

    async def propose_totp(self, session: Session) -> bytes:
        """Make a seed, which counts when a code of it has been shown."""
        seed = codes.new_seed()
        await self.people.factors.propose(session.person_id, seed)
        return seed

    async def confirm_totp(
        self, session: Session, secret: str, code: str
    ) -> tuple[list[str], Begun]:
        """Ask for codes from now on; gives recovery codes, and the session with a new secret.

        Raises FactorUnknown, CodeRefused, TooManyTries.
        """
        await self.throttle.hit(policies.SECOND_FACTOR, str(session.person_id))
        seed = await self.people.factors.proposed(session.person_id)
        step = codes.step_of(seed, code, self._now_s())
        if step is None:
            raise CodeRefused("this is not the code that the app shows now; is its clock right?")
        made = codes.new_recovery_codes()
        await self.people.factors.confirm(session.person_id, seed, step, _forms(made), session.id)
        return made, await self.people.sessions.step_up(secret, mfa=True)

    async def renew_recovery_codes(self, session: Session) -> list[str]:
        """Replace all recovery codes. Raises FactorUnknown."""
        made = codes.new_recovery_codes()
        await self.people.factors.replace_codes(session.person_id, _forms(made))
        return made

    def new_link(self) -> Link:
        """A link for a mail."""
        return links.made(self._settings)

    async def look(self, text: str, client: Client) -> FoundLink:
        """Say what a link is for, which does not use it. Raises LinkUnknown, TooManyTries."""
        await self.throttle.hit_network(policies.LINK_NETWORK, client.network)
        return await self.people.links.look(text)

    async def _looked_up(
        self, address: str, device: Shown | None, client: Client, *, worked: bool
    ) -> tuple[Credentials | None, bool]:
        """Who is meant, and whether from a device of theirs; the try is counted."""
        if device is None:
            await self._count_stranger(address, client, worked=worked)
            return await self.people.persons.credentials(address), False
        credentials = await self.people.persons.credentials(address)
        # Asked also where there is nobody: one round trip more would tell that there is somebody.
        person_id = credentials.person.id if credentials else 0
        known = await self.people.persons.knows_device(person_id, device.hash)
        if known:
            await self.throttle.hit(policies.SIGN_IN_DEVICE, device.hash.hex())
        else:
            await self._count_stranger(address, client, worked=worked)
        return credentials, known

    async def _count_stranger(self, address: str, client: Client, *, worked: bool) -> None:
        alias = self._alias(address)
        await self.throttle.hit_network(policies.SIGN_IN_NETWORK, client.network)
        await self.throttle.hit(policies.SIGN_IN_PAIR, f"{alias} {client.network}")
        if worked:  # what others use up, from wherever, is not in the way then
            await self.throttle.hit(policies.SIGN_IN_PROOF, alias)
            return
        await self.throttle.hit(policies.SIGN_IN_ADDRESS, alias)
        # Last, so that a flood at one address uses up nothing of what all have together.
        await self.throttle.hit(policies.SIGN_IN_ALL, "")

    async def _second_factor(self, credentials: Credentials, proof: Proof) -> bool:
        """Whether a second factor was shown. Raises CodeWanted, CodeRefused, TooManyTries."""
        if credentials.totp is None:
            return False
        if proof.code is None and proof.recovery_code is None:
            raise CodeWanted("send the code of your authenticator as well, or a recovery_code")
        person_id = credentials.person.id
        await self.throttle.hit(policies.SECOND_FACTOR, str(person_id))
        if proof.code is not None:
            step = codes.step_of(credentials.totp, proof.code, self._now_s())
            right = step is not None and await self.people.factors.take(person_id, step)
        else:
            form = codes.recovery_form(proof.recovery_code or "")
            right = await self.people.factors.use_recovery(person_id, form)
        if not right:
            raise CodeRefused("the code is wrong, or was used before; wait for the next one")
        return True

    async def _chosen(
        self, text: str, *, purpose: str, password: str, name: str, client: Client
    ) -> Hashed:
        """The hash of a password that is chosen with a link, which is not used by this."""
        found = await self.look(text, client)
        if found.purpose != purpose:
            raise LinkUnknown
        return await self.passwords.hash(rules.accepted(password, (found.address, name)))

    async def _known_from_now_on(self, begun: Begun) -> SignedIn:
        device = new_device()
        await self.people.persons.remember_device(begun.person_id, device)
        return SignedIn(begun=begun, device=device.text)

    def _alias(self, address: str) -> str:
        return self.people.peppers.alias(address.lower())

    def _now_s(self) -> float:
        return self.people.clock().timestamp()


def _device(text: str | None) -> Shown | None:
    hashed = hash_of(text) if text is not None else None
    return Shown(text, hashed) if text is not None and hashed is not None else None


def _forms(made: list[str]) -> list[str]:
    return [codes.recovery_form(code) for code in made]
