"""One-time codes (RFC 6238, as every authenticator app has it) and recovery codes. Pure."""

import base64
import hmac
import io
import re
import secrets

import pyotp
import segno

ISSUER = "Ephemera"
# RFC 4226 asks for 160 bits.
SEED_BYTES = 20
PERIOD_S = 30
# The code before and the one after, for clocks that are half a minute off.
_WINDOW = (0, -1, 1)
RECOVERY_CODES = 10
# 80 bits, in groups of four, of base 32: no letter that looks like a digit.
_RECOVERY_BYTES = 10
_GROUP = 4


def new_seed() -> bytes:
    """A seed for a new authenticator."""
    return secrets.token_bytes(SEED_BYTES)


def seed_text(seed: bytes) -> str:
    """The seed, to be typed into an app that cannot look at a picture."""
    return base64.b32encode(seed).decode()


def seed_uri(seed: bytes, address: str) -> str:
    """The seed as apps take it over: `otpauth://totp/…`."""
    return pyotp.TOTP(seed_text(seed)).provisioning_uri(name=address, issuer_name=ISSUER)


def seed_picture(uri: str) -> str:
    """The same as a picture to be looked at with a telephone (SVG, about 3 KB)."""
    out = io.BytesIO()
    segno.make(uri, error="m").save(out, kind="svg", xmldecl=False, svgns=True, scale=4)
    return out.getvalue().decode()


def step_of(seed: bytes, code: str, now_s: float) -> int | None:
    """The time step that a code belongs to, if it is the one of now, just before or just after."""
    generator = pyotp.HOTP(seed_text(seed))
    now = int(now_s) // PERIOD_S
    given = re.sub(r"\s", "", code)
    found = None
    for offset in _WINDOW:
        if now + offset >= 0 and hmac.compare_digest(
            generator.at(now + offset).encode(), given.encode()
        ):
            found = now + offset
    return found


def new_recovery_codes() -> list[str]:
    """Codes that are shown once; each signs in once without the authenticator."""
    return [_grouped(secrets.token_bytes(_RECOVERY_BYTES)) for _ in range(RECOVERY_CODES)]


def recovery_form(code: str) -> str:
    """The one form of a recovery code, however it was typed."""
    return re.sub(r"[\s-]", "", code).lower()


def _grouped(raw: bytes) -> str:
    text = base64.b32encode(raw).decode().lower()
    return "-".join(text[at : at + _GROUP] for at in range(0, len(text), _GROUP))
