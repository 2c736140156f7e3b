"""The privacy page: made from the configuration that runs, each sentence a claim that tests carry.

A sentence has the id of a claim; `tests/claims` fails for one that no test carries, so nothing can
be promised here that nobody tries. What is switched off is not spoken of. The page is known by the
hash of what it says, and every version that was ever published is kept.
"""

import hashlib
from collections.abc import Callable, Iterator

import msgspec

from gateway.config import Settings
from gateway.privacy.registry import Cookie, Subprocessor, is_on, listed, registry
from ledger.privacy.inventory import Basis, Inventory, Table
from ledger.privacy.retention import in_words
from ledger.privacy.wishes import PURPOSES

# GDPR, article 6(1).
_BASES = {
    Basis.CONTRACT: "to do what you asked us to (Art. 6(1)(b) GDPR)",
    Basis.LEGAL_DUTY: "because the law asks for it (Art. 6(1)(c) GDPR)",
    Basis.LEGITIMATE_INTEREST: "because we have a legitimate interest in it (Art. 6(1)(f) GDPR)",
}


class Sentence(msgspec.Struct, frozen=True):
    """A promise, and the id that its tests carry."""

    claim: str
    text: str


class Section(msgspec.Struct, frozen=True, kw_only=True):
    """Promises about one thing."""

    title: str
    sentences: tuple[Sentence, ...]


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of record: the record of processing (article 30), a row a table."""

    table: str
    categories: tuple[str, ...]
    purposes: tuple[str, ...]
    basis: str
    source: str
    kept: str
    at_the_end: str


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """The page."""

    service: str
    controller: str
    contact: str
    officer: str
    authority: str
    region: str
    sections: tuple[Section, ...]
    kept: tuple[Kept, ...]
    subprocessors: tuple[Subprocessor, ...]
    cookies: tuple[Cookie, ...]
    mails: dict[str, str]
    log_fields: dict[str, str]
    objections: dict[str, str]


class Published(msgspec.Struct, frozen=True, kw_only=True):
    """A page and its version: SHA-256 of the page as canonical JSON."""

    version: str
    page: Policy


def policy_of(
    settings: Settings, inventory: Inventory, says: Callable[[str], str], service: str
) -> Published:
    """The page of this configuration; `says` tells a retention in words."""
    who = settings.privacy
    page = Policy(
        service=service,
        controller=who.controller,
        contact=who.contact,
        officer=who.officer,
        authority=who.authority,
        region=who.region,
        sections=tuple(
            Section(title=title, sentences=tuple(made(settings)))
            for title, made in _SECTIONS.items()
        ),
        kept=tuple(_kept(inventory, says)),
        subprocessors=tuple(listed(settings)),
        cookies=tuple(one for one in registry().cookies if is_on(one.when, settings)),
        mails=dict(registry().mails),
        log_fields=dict(registry().log_fields),
        objections={name: f"{one.says}; {one.effect}" for name, one in PURPOSES.items()},
    )
    return Published(version=hashlib.sha256(encoded(page)).hexdigest(), page=page)


def encoded(page: Policy) -> bytes:
    """The canonical form: sorted names, no blanks."""
    return msgspec.json.encode(page, order="sorted")


def _files(settings: Settings) -> Iterator[Sentence]:
    yield Sentence(
        "C-DISK-1",
        "Files are converted in memory: while they are, no process of the service writes anything"
        " of them to a disk.",
    )
    yield Sentence("C-WORKER-1", "Each file has a process of its own, which ends after it.")
    yield Sentence(
        "C-RESIDUE-1",
        "When you have your answer, no process of the service holds a byte of your file or of its"
        " result.",
    )
    if settings.files.bytes_max:
        yield Sentence(
            "C-STORE-1",
            "A file that you ask us to store is sealed with a key of which we have one half and"
            " your handle the other: a copy of our database opens none.",
        )
        yield Sentence(
            "C-STORE-3",
            "It cannot be read any more the moment you delete it or its time is over,"
            f" {in_words(settings.files.lifetime_s_max)} at the most, and is purged within a"
            " minute.",
        )
    if settings.fetch.enabled:
        yield Sentence(
            "C-FETCH-3",
            "A file is fetched by its address where you name one, and the address is in no log.",
        )


def _records(settings: Settings) -> Iterator[Sentence]:
    yield Sentence(
        "C-PRIV-1",
        "Every column of our database has a purpose, a legal basis and an end. The table below is"
        " made from the list that the database itself is compared with.",
    )
    yield Sentence(
        "C-PRIV-2",
        "What is over is deleted by a job that looks every day, and that writes down what it"
        " deleted.",
    )
    yield Sentence(
        "C-PRIV-3",
        "What we keep serves the purposes in the table and no others: there is none of advertising,"
        " and none of profiling.",
    )
    if settings.records.keep:
        address = {
            "cut": "the network it came from without its last part",
            "whole": "the address it came from",
            "none": "no address",
        }[settings.records.address]
        yield Sentence(
            "C-PRIV-4",
            "Of a request we keep for 90 days the pattern of its address, its size, its time, what"
            f" it cost, and {address}; never a name, a content or a query.",
        )
    yield Sentence("C-LOG-1", "No content, name, query or key is in a log or a figure.")
    yield Sentence("C-PRIV-5", "Logs have the fields that are listed below, and no others.")


def _secrets(_settings: Settings) -> Iterator[Sentence]:
    yield Sentence(
        "C-PRIV-6",
        "Passwords are kept as argon2id hashes, mixed with a key that is not in the database.",
    )
    yield Sentence("C-KEY-1", "API keys are kept as keyed hashes: a copy of them opens nothing.")
    yield Sentence(
        "C-KEY-3",
        "Secrets that have to be read again are sealed with keys that are not in the database.",
    )


def _money(settings: Settings) -> Iterator[Sentence]:
    if settings.billing.packs:
        yield Sentence(
            "C-PRIV-7",
            "Of a payment we keep an order's number, what was bought and for how much, and of the"
            " card its brand, its last four digits and its country: no name, no address, no card.",
        )
    yield Sentence("C-MONEY-2", "The books of your credits are not rewritten.")
    yield Sentence(
        "C-PRIV-8",
        "They are kept for seven years after the account is closed, under a number that means"
        " nothing, and then go as well.",
    )


def _others(_settings: Settings) -> Iterator[Sentence]:
    yield Sentence(
        "C-PRIV-9",
        "Nobody gets anything but those who are listed below, and they are listed exactly as long"
        " as we use them.",
    )
    yield Sentence(
        "C-PRIV-10",
        "Who of us looks into an account has written a reason first that its owners are told, for"
        " eight hours at the most; you see every one at GET /v1/account/access.",
    )
    yield Sentence(
        "C-PRIV-11",
        "What our staff and operators do is on record, in a chain of which the head is signed"
        " every hour: a record that is changed or missing is noticed.",
    )
    yield Sentence("C-PRIV-12", "The service sets no cookies but those that are listed below.")


def _rights(_settings: Settings) -> Iterator[Sentence]:
    yield Sentence(
        "C-PRIV-13",
        "You get everything that is yours as a signed archive, when you ask for it:"
        " POST /v1/account/export.",
    )
    yield Sentence("C-PRIV-14", "You change your name and your address yourself, at any time.")
    yield Sentence(
        "C-PRIV-15",
        "When you delete your account (DELETE /v1/account), its keys and sessions end at once; for"
        " seven days you can call it off.",
    )
    yield Sentence(
        "C-PRIV-16",
        "Within thirty days nothing is left that names you; the books stay under their number.",
    )
    yield Sentence(
        "C-PRIV-17",
        "You can have the account rest: nothing is done with what is there until you say so"
        " (POST /v1/account/restriction).",
    )
    yield Sentence(
        "C-PRIV-18",
        "You can object to what rests on our legitimate interest, by the names listed below"
        " (POST /v1/auth/objections/NAME).",
    )
    yield Sentence(
        "C-PRIV-19",
        "This page has a version, which changes when a word of it does; all earlier ones stay"
        " where they were (GET /privacy/versions).",
    )


_SECTIONS: dict[str, Callable[[Settings], Iterator[Sentence]]] = {
    "Your files": _files,
    "What we keep": _records,
    "Secrets": _secrets,
    "Money": _money,
    "Who else sees something": _others,
    "What you can ask for": _rights,
}


def _kept(inventory: Inventory, says: Callable[[str], str]) -> Iterator[Kept]:
    for table in inventory.tables.values():
        if table.of:
            yield Kept(
                table=table.name,
                categories=tuple(dict.fromkeys(str(one.category) for one in table.columns)),
                purposes=tuple(inventory.purposes[one] for one in table.purposes),
                basis=_BASES[table.basis],
                source=str(table.source),
                kept=says(table.retention),
                at_the_end=_end(table),
            )


def _end(table: Table) -> str:
    return f"kept: {table.because}" if table.erase == "keep" else "deleted with its owner"
