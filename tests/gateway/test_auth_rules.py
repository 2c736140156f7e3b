"""What a password must be, and the codes of authenticators: pure functions."""

import base64

import pytest

from gateway import config
from gateway.errors import ConfigError, PasswordRefused, RequestMalformed
from gateway.people import codes, rules, texts
from tests.gateway.service import with_settings

CONTEXT = ("ada.lovelace@analytical-engines.example.org", "Ada Lovelace")


@pytest.mark.parametrize(
    "password",
    [
        "gravel onyx 8 tundra",
        "xkq7-pnvw-2zhd",
        "Wr9#kLp2@vQz",
        "der Rabe frisst Müsli",
        "ἐν ἀρχῇ ἦν ὁ λόγος",
        "柳暗花明又一村山重水複疑無路",
        "🦊🌋🪗 zinnober 🧵🪐",
        "x" * 2 + "kr7!mZ" * 2 + "vw",
        "".join(chr(0x4E00 + 37 * number) for number in range(256)),
    ],
)
def test_what_nobody_would_think_of_is_accepted(password: str) -> None:
    assert rules.accepted(password, CONTEXT)


@pytest.mark.parametrize(
    "password",
    [
        "kr7!mZvw2#p",
        "password1234",
        "Password1234!",
        "P@ssw0rd2026!!",
        "passwordpassword",
        "123456789012",
        "0987654321098",
        "qwertyuiopas",
        "1qaz2wsx3edc",
        "aaaaaaaaaaaaaaaa",
        "abababababab",
        "abcabcabcabc",
        "xk7!xk7!xk7!",
        "iloveyou123456",
        "Summer2026Summer",
        "monkey dragon sunshine",
        "correcthorsebatterystaple",
        "letmein letmein!!",
        "Ephemera-2026",
        "ephemera!ephemera",
        "adalovelace1815",
        "Lovelace.Ada.99",
        "analytical-engines",
        "lovelace@example",
        "           1",
        "🦊" * 12,
        "x" * 257,
        # Long enough until the keyboard's variants are made one: 12 become 6.
        "e\u0301" * 6,
    ],
)
def test_what_is_tried_first_is_refused_without_being_repeated(password: str) -> None:
    with pytest.raises(PasswordRefused) as refusal:
        rules.accepted(password, CONTEXT)
    assert password not in str(refusal.value)


def test_a_password_is_judged_quickly_however_it_is_made() -> None:
    for hostile in ("a1" * 128, "qwerty" * 42, "\u0301" * 256, "ﷺ" * 14, "(" * 256):
        with pytest.raises(PasswordRefused):
            rules.accepted(hostile, (hostile, *CONTEXT))


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        (" Ada@Example.ORG ", "Ada@example.org"),
        ("a+b.c_d@sub.xn--mnchen-3ya.de", "a+b.c_d@sub.xn--mnchen-3ya.de"),
        ("o'neil@example.co.uk", "o'neil@example.co.uk"),
    ],
)
def test_addresses_are_kept_as_written_but_for_their_domain(typed: str, kept: str) -> None:
    assert texts.address_of(typed) == kept


@pytest.mark.parametrize(
    "typed",
    [
        *("", "@", "a@", "@b.org", "a@b", "a@b..org", "a@-b.org", "a@b.org.", ".a@b.org"),
        *("a..b@c.org", "a.@b.org", "a b@c.org", "a@b@c.org", "<a@b.org>", "a@b.org,c@d.org"),
        *("a@b.123", "a" * 65 + "@b.org", "a@" + "b" * 64 + ".org", "a@münchen.de"),
        "a@b.org\ncc:x",
    ],
)
def test_what_is_no_address_is_refused(typed: str) -> None:
    with pytest.raises(RequestMalformed):
        texts.address_of(typed)


# The vectors of RFC 6238, appendix B (SHA-1), with the six digits that apps show.
@pytest.mark.parametrize(
    ("now_s", "code"),
    [
        (59, "287082"),
        (1_111_111_109, "081804"),
        (1_234_567_890, "005924"),
        (20_000_000_000, "353130"),
    ],
)
def test_codes_are_those_of_the_standard(now_s: int, code: str) -> None:
    seed = b"12345678901234567890"
    step = now_s // 30
    assert codes.step_of(seed, code, now_s) == step
    assert codes.step_of(seed, f" {code[:3]} {code[3:]}", now_s + 30) == step
    assert codes.step_of(seed, code, now_s - 30) == step
    assert codes.step_of(seed, code, now_s + 90) is None


@pytest.mark.parametrize(
    "code", ["", "28708", "2870820", "\uff12\uff18\uff17\uff10\uff18\uff12", "28708x", "-287082"]
)
def test_what_is_no_code_belongs_to_no_step(code: str) -> None:
    assert codes.step_of(b"12345678901234567890", code, 59) is None


def test_a_seed_is_told_in_three_ways() -> None:
    seed = codes.new_seed()
    assert len(seed) == 20
    uri = codes.seed_uri(seed, "ada@example.org")
    assert f"secret={base64.b32encode(seed).decode()}" in uri
    assert "issuer=Ephemera" in uri
    assert codes.seed_picture(uri).startswith("<svg")


def test_recovery_codes_have_eighty_bits_and_one_form() -> None:
    made = codes.new_recovery_codes()
    assert len(set(made)) == 10
    for code in made:
        assert len(base64.b32decode(codes.recovery_form(code).upper())) == 10
        assert codes.recovery_form(code.upper().replace("-", " ")) == codes.recovery_form(code)


def test_hashing_for_tests_is_refused_outside_of_tests() -> None:
    assert with_settings(accounts={"hashing": "test"}).accounts.hashing == "test"
    with pytest.raises(ConfigError, match="protects no password"):
        config.load({"EPHEMERA_HOME": "/nonexistent"}, None, {("accounts", "hashing"): "test"})


@pytest.mark.parametrize(
    "accounts", [{"peppers": "x"}, {"peppers": "ab" * 31}, {"signup": "maybe"}, {"hashing": "md5"}]
)
def test_what_an_operator_cannot_mean_stops_the_boot(accounts: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="accounts"):
        with_settings(accounts=accounts)


@pytest.mark.parametrize(
    "address",
    ["336fef34f856@example.org", "1efe1f0f0ef2@example.org", "b1998a77c2d4@example.org"],
)
def test_an_address_with_a_run_or_a_year_in_it_is_no_password_either(address: str) -> None:
    with pytest.raises(PasswordRefused):
        rules.accepted(address, (address,))
