"""Signatures and claims of tokens, by the dozen: what is good, and every way not to be."""

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from joserfc import jws
from joserfc.jwk import OctKey, OKPKey

from gateway.tokens import checking
from gateway.tokens.claims import TOKEN_CHARS_MAX, Claims, TokenMalformed, head_of
from ledger.accounts.caller import Caller
from ledger.accounts.rights import DEFAULT_SCOPES, network

NOW = 1_800_000_000.0
SECRET = b"eph_sign_a secret of a customer, long enough to be one"
KEY = OKPKey.generate_key("Ed25519")
OTHER = OKPKey.generate_key("Ed25519")
OURS = {
    "iss": "ephemera",
    "aud": "ephemera",
    "client_id": "AAAAAAAAAAAA",
    "jti": "one",
    "iat": NOW - 1,
    "exp": NOW + 60,
}
HEAD = {"alg": "Ed25519", "typ": "at+jwt", "kid": "k"}
CALLER = Caller(account_id=1, key_id="AAAAAAAAAAAA", label="x", scopes=DEFAULT_SCOPES)


def _b64(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()


def _ours(claims: dict[str, Any] | None = None, key: OKPKey = KEY, **head: Any) -> str:
    said = {name: value for name, value in (OURS | (claims or {})).items() if value is not None}
    shown = {name: value for name, value in (HEAD | head).items() if value is not None}
    return jws.serialize_compact(shown, json.dumps(said).encode(), key, algorithms=["Ed25519"])


def _signed(claims: dict[str, Any], secret: bytes = SECRET, **head: Any) -> str:
    """By hand, as anybody can do it."""
    parts = [{"alg": "HS256", "typ": "JWT", "kid": "AAAAAAAAAAAA"} | head, claims]
    text = ".".join(_b64(json.dumps(part).encode()) for part in parts)
    return f"{text}.{_b64(hmac.new(secret, text.encode(), hashlib.sha256).digest())}"


def _issued(text: str, now: float = NOW) -> Claims:
    return checking.issued(text, head_of(text), KEY, audience="ephemera", now=now)


def _self_signed(text: str, now: float = NOW) -> Claims:
    return checking.self_signed(text, head_of(text), SECRET, audience="ephemera", now=now)


# Ours


def test_a_token_of_ours_says_what_was_put_into_it() -> None:
    claims = _issued(_ours({"scope": "convert files", "ops": ["*/pdf"], "max_bytes": 5}))
    assert (claims.scope, claims.ops, claims.max_bytes) == ("convert files", ("*/pdf",), 5)
    assert (claims.client_id, claims.jti, claims.audience) == ("AAAAAAAAAAAA", "one", ("ephemera",))


@pytest.mark.parametrize(
    "text",
    [
        _ours(key=OTHER),
        _ours(typ="JWT"),
        _ours(typ=None),
        _ours({"exp": NOW}),
        _ours({"exp": NOW - 1}),
        _ours({"exp": None}),
        _ours({"exp": "never"}),
        _ours({"exp": True}),
        _ours({"iat": NOW + 61}),
        _ours({"nbf": NOW + 61}),
        _ours({"exp": NOW + 86_401}),
        _ours({"iat": None}),
        _ours({"jti": None}),
        _ours({"jti": ""}),
        _ours({"jti": "x" * 101}),
        _ours({"jti": "nul\x00"}),
        _ours({"client_id": None}),
        _ours({"iss": "somebody"}),
        _ours({"aud": "somebody"}),
        _ours({"aud": []}),
        _ours({"ops": "jpeg/webp"}),
        _ours({"max_bytes": 0}),
        # The public key as the secret of an HMAC: RS256 to HS256 and its kin.
        _signed(OURS, base64.urlsafe_b64decode(str(KEY.as_dict(private=False)["x"]) + "="),
                typ="at+jwt"),
        _signed(OURS, str(KEY.as_dict(private=False)["x"]).encode(), typ="at+jwt"),
        _signed(OURS, alg="Ed25519", typ="at+jwt"),
        # No signature at all.
        _signed(OURS, alg="none", typ="at+jwt").rpartition(".")[0] + ".",
        _signed(OURS, alg="None", typ="at+jwt"),
        _ours() + "A",
        _ours()[:-4],
        _ours().replace(".", ".A", 1),
    ],
)  # fmt: skip
@pytest.mark.claim("C-TOKEN-1")
def test_what_is_not_good_is_refused(text: str) -> None:
    with pytest.raises(TokenMalformed):
        _issued(text)


def test_another_payload_under_a_good_signature_is_refused() -> None:
    head, _, signature = _ours().split(".")
    more = _b64(json.dumps(OURS | {"scope": "keys:write"}).encode())
    with pytest.raises(TokenMalformed, match="signature"):
        _issued(f"{head}.{more}.{signature}")


def test_a_token_is_good_until_its_last_second_and_a_clock_may_be_a_minute_fast() -> None:
    assert _issued(_ours({"exp": NOW + 1, "iat": NOW + 60}))
    with pytest.raises(TokenMalformed, match="expired"):
        _issued(_ours({"exp": NOW + 1}), now=NOW + 1)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a.b",
        "a.b.c.d",
        "....",
        "é.b.c",
        f"{_b64(b'[]')}.e30.",
        f"{_b64(b'{}')}.e30.",
        f"{_b64(b'nonsense')}.e30.",
        f"{_b64(json.dumps({'alg': 'Ed25519'}).encode())}.e30.",
        f"{_b64(json.dumps({'alg': 1, 'kid': 'k'}).encode())}.e30.",
        f"{_b64(b'[' * 2000)}.e30.",
        "x" * TOKEN_CHARS_MAX + ".b.c",
        *(
            f"{_b64(json.dumps(HEAD | {name: 'x'}).encode())}.e30."
            for name in ("crit", "b64", "jwk", "jku", "x5u", "x5c", "zip")
        ),
    ],
)
def test_what_has_no_header_that_we_take_is_no_token(text: str) -> None:
    with pytest.raises(TokenMalformed):
        head_of(text)


# Those of customers


def test_a_token_that_a_customer_signs_needs_an_end_and_nothing_else() -> None:
    claims = _self_signed(_signed({"exp": NOW + 60}))
    assert (claims.scope, claims.jti, claims.addresses) == (None, None, ())


@pytest.mark.parametrize("name", ["ip", "client_ip", "clientIp", "clientIP", "ClientIp"])
def test_the_clients_address_goes_by_many_names(name: str) -> None:
    claims = _self_signed(_signed({"exp": NOW + 60, name: "192.0.2.7"}))
    assert claims.addresses == ("192.0.2.7",)


@pytest.mark.parametrize(
    "text",
    [
        _signed({}),
        _signed({"exp": NOW - 1}),
        _signed({"exp": NOW + 86_401}),
        _signed({"exp": NOW + 3600, "iat": NOW - 86_400}),
        _signed({"exp": NOW + 60, "nbf": NOW + 61}),
        _signed({"exp": NOW + 60, "aud": "somebody"}),
        _signed({"exp": NOW + 60, "one_shot": True}),
        _signed({"exp": NOW + 60}, b"another secret, as long as the right one is"),
        _signed({"exp": NOW + 60}, b""),
        _signed({"exp": NOW + 60}, alg="HS512"),
        _signed({"exp": NOW + 60}, alg="none").rpartition(".")[0] + ".",
        # One kind of token in the place of the other.
        _signed({"exp": NOW + 60}, typ="at+jwt"),
        _ours({"aud": None}, kid="AAAAAAAAAAAA"),
    ],
)
def test_what_a_customer_did_not_sign_well_is_refused(text: str) -> None:
    with pytest.raises(TokenMalformed):
        _self_signed(text)


def test_the_library_signs_the_same() -> None:
    head = {"alg": "HS256", "kid": "AAAAAAAAAAAA"}
    text = jws.serialize_compact(
        head, json.dumps({"exp": NOW + 60}).encode(), OctKey.import_key(SECRET)
    )
    assert _self_signed(text).exp == NOW + 60


# Powers


def test_a_token_never_has_more_powers_than_its_key() -> None:
    claims = Claims(exp=NOW + 60, scope="convert keys:write tokens hooks nonsense", ops=("*/pdf",))
    caller = checking.narrowed(CALLER, claims, bound=())
    assert caller.scopes == {"convert", "hooks"}
    assert caller.terms.operations == (("*/pdf",),)
    assert caller.token
    assert "tokens" not in checking.narrowed(CALLER, Claims(exp=NOW), bound=()).scopes


def test_a_signing_keys_addresses_bind_all_that_it_signs() -> None:
    bound = (network("192.0.2.0/24"),)
    inside = Claims(exp=NOW, ip="192.0.2.7")
    assert checking.narrowed(CALLER, inside, bound=bound).addresses == (network("192.0.2.7"),)
    assert checking.narrowed(CALLER, Claims(exp=NOW), bound=bound).addresses == bound
    for text in ("198.51.100.1", "192.0.0.0/16", "2001:db8::1", "nonsense"):
        with pytest.raises(TokenMalformed):
            checking.narrowed(CALLER, Claims(exp=NOW, ip=text), bound=bound)


def test_tokens_of_before_a_refusal_of_all_are_refused_and_so_are_those_that_do_not_say() -> None:
    moment = datetime.fromtimestamp(NOW, UTC)
    checking.check_not_before(Claims(exp=NOW + 60, iat=NOW + 0.001), moment)
    checking.check_not_before(Claims(exp=NOW + 60), None)
    for claims in (Claims(exp=NOW + 60, iat=NOW), Claims(exp=NOW + 60)):
        with pytest.raises(TokenMalformed):
            checking.check_not_before(claims, moment)
