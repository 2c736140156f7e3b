"""The envelope: what is sealed opens at its place, with its key, unchanged, and nowhere else."""

import secrets

import pytest

from ledger.envelope import KEY_BYTES, KEYS_MAX, PLAIN_BYTES_MAX, Envelope, new_key, parse_keys
from ledger.errors import DamagedEnvelope, EnvelopeMissing
from ledger.ledger import Ledger

PLACE = "somewhere.secret|7"
OLD, NEW = secrets.token_bytes(KEY_BYTES), secrets.token_bytes(KEY_BYTES)


def test_what_is_sealed_opens_at_its_place() -> None:
    envelope = Envelope([OLD])
    assert envelope.open(envelope.close(b"the secret", PLACE), PLACE) == b"the secret"
    assert envelope.open(envelope.close(b"", PLACE), PLACE) == b""


def test_a_ledger_has_one(ledger: Ledger) -> None:
    assert ledger.envelope.open(ledger.envelope.close(b"kept", PLACE), PLACE) == b"kept"


def test_the_same_secret_looks_different_each_time_and_nothing_of_it_shows() -> None:
    sealed = {Envelope([OLD]).close(b"canary", PLACE) for _ in range(50)}
    assert len(sealed) == 50
    assert not any(b"canary" in one for one in sealed)


def test_what_was_moved_to_another_place_does_not_open() -> None:
    envelope = Envelope([OLD])
    sealed = envelope.close(b"the secret", PLACE)
    for place in ("somewhere.secret|8", "elsewhere.secret|7", ""):
        with pytest.raises(DamagedEnvelope):
            envelope.open(sealed, place)


def test_every_changed_bit_is_noticed() -> None:
    envelope = Envelope([OLD])
    sealed = envelope.close(b"the secret", PLACE)
    for bit in range(8 * len(sealed)):
        changed = bytearray(sealed)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises((DamagedEnvelope, EnvelopeMissing)):
            envelope.open(bytes(changed), PLACE)


@pytest.mark.parametrize("size", [0, 1, 9, 21, 36])
def test_what_is_cut_off_is_damaged(size: int) -> None:
    sealed = Envelope([OLD]).close(b"", PLACE)
    assert len(sealed) == 37
    with pytest.raises(DamagedEnvelope):
        Envelope([OLD]).open(sealed[:size], PLACE)


def test_the_last_key_seals_and_every_key_opens() -> None:
    before = Envelope([OLD]).close(b"the secret", PLACE)
    both = Envelope([OLD, NEW])
    assert both.open(before, PLACE) == b"the secret"
    assert both.needs_resealing(before)
    after = both.reseal(before, PLACE)
    assert not both.needs_resealing(after)
    assert Envelope([NEW]).open(after, PLACE) == b"the secret"


def test_a_key_in_front_opens_and_does_not_seal_yet() -> None:
    coming = Envelope([NEW, OLD])
    assert coming.open(Envelope([NEW]).close(b"x", PLACE), PLACE) == b"x"
    assert not coming.needs_resealing(coming.close(b"x", PLACE))
    assert Envelope([OLD]).open(coming.close(b"x", PLACE), PLACE) == b"x"


def test_a_key_that_is_not_there_is_named_and_not_guessed() -> None:
    sealed = Envelope([OLD]).close(b"the secret", PLACE)
    (name,) = Envelope([OLD]).key_ids()
    with pytest.raises(EnvelopeMissing, match=name):
        Envelope([NEW]).open(sealed, PLACE)


def test_without_keys_nothing_is_sealed() -> None:
    with pytest.raises(EnvelopeMissing, match=r"ledger\.kek"):
        Envelope([]).close(b"the secret", PLACE)


def test_an_envelope_is_not_for_files() -> None:
    with pytest.raises(ValueError, match="at most"):
        Envelope([OLD]).close(bytes(PLAIN_BYTES_MAX + 1), PLACE)


def test_no_key_shows_in_what_is_printed() -> None:
    assert OLD.hex() not in repr(Envelope([OLD]))


def test_a_list_of_keys_is_read_in_its_order() -> None:
    texts = [new_key() for _ in range(3)]
    keys = tuple(bytes.fromhex(text) for text in texts)
    assert parse_keys("\n".join(texts) + "\n") == keys
    assert parse_keys(",".join(texts)) == parse_keys(" , ".join(texts)) == keys


@pytest.mark.parametrize(
    "text",
    [
        "",
        " \n",
        "0" * 63,
        "0" * 65,
        "G" * 64,
        "A" * 64,
        f"{'0' * 64} short",
        f"{'0' * 64} {'0' * 64}",
        " ".join(f"{number:064x}" for number in range(KEYS_MAX + 1)),
    ],
)
def test_a_list_that_is_none_is_refused_without_being_repeated(text: str) -> None:
    with pytest.raises(ValueError, match="envelope key") as refusal:
        parse_keys(text)
    assert "0" * 63 not in str(refusal.value)
