"""A real SMTP server in this process that does what real ones do on bad days."""

import asyncio
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from ipaddress import ip_address
from pathlib import Path
from typing import Any, cast

import msgspec
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

HOST = "127.0.0.1"
PASSWORD = "a password of a mail server"


class Arrived(msgspec.Struct, frozen=True, kw_only=True):
    """A mail as the server got it."""

    sender: str
    to: list[str]
    mail: EmailMessage
    encrypted: bool
    login: str | None

    def part(self, subtype: str) -> str:
        body = self.mail.get_body((subtype,))
        assert body is not None
        return str(body.get_content())


class Desk:
    """What the server answers, and what it has got."""

    def __init__(self) -> None:
        self.arrived: list[Arrived] = []
        # What is answered to each command, where it is no consent; None hangs up.
        self.to_recipient: dict[str, str | None] = {}
        self.to_content: list[str | None] = []
        self.connections = 0

    async def handle_EHLO(  # noqa: N802 -- aiosmtpd's names
        self, server: SMTP, session: Session, _envelope: Envelope, hostname: str, answers: list[str]
    ) -> list[str]:
        self.connections += server.transport is not None
        session.host_name = hostname
        return answers

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        answer = self.to_recipient.get(address, "250 OK")
        if answer is None:
            return _hang_up(server)
        if answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        answer = self.to_content.pop(0) if self.to_content else "250 OK"
        if answer is None:
            return _hang_up(server)
        if answer.startswith("250"):
            assert isinstance(envelope.content, bytes)
            parsed = message_from_bytes(envelope.content, policy=SMTP_POLICY)
            self.arrived.append(
                Arrived(
                    sender=str(envelope.mail_from),
                    to=[str(address) for address in envelope.rcpt_tos],
                    mail=cast("EmailMessage", parsed),
                    encrypted=_is_encrypted(server),
                    login=cast("str | None", session.auth_data),
                )
            )
        return answer


class _OnAnyPort(Controller):
    def _trigger_server(self) -> None:
        """Look whether it answers, where the kernel put it."""
        assert isinstance(self.server, asyncio.Server)
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


def _is_encrypted(server: SMTP) -> bool:
    assert server.transport is not None
    return server.transport.get_extra_info("ssl_object") is not None


def _hang_up(server: SMTP) -> str:
    assert server.transport is not None
    server.transport.abort()
    return "421 gone"


def _login(
    _server: SMTP, _session: Session, _envelope: Envelope, mechanism: str, data: Any
) -> AuthResult:
    good = mechanism in {"LOGIN", "PLAIN"} and data.password == PASSWORD.encode()
    return AuthResult(success=good, handled=False, auth_data=data.login.decode())


@contextmanager
def serving(
    desk: Desk, tls: ssl.SSLContext | None, *, implicit: bool = False, login: bool = False
) -> Iterator[int]:
    """Serve on a port of the kernel's choice, and give it."""
    kinds: dict[str, Any] = {"ssl_context": tls} if implicit else {}
    if tls is not None and not implicit:
        kinds |= {"tls_context": tls, "require_starttls": True}
    if login:
        # It does not know that it is encrypted from the first byte, and then warns.
        kinds |= {"authenticator": _login, "auth_required": not implicit}
        kinds |= {"auth_require_tls": not implicit}
    controller = _OnAnyPort(desk, hostname=HOST, port=0, **kinds)
    controller.start()
    try:
        yield controller.port
    finally:
        controller.stop()


class Authority:
    """A certificate authority of one server."""

    def __init__(self, folder: Path, *, names: str = HOST, ends: timedelta | None = None) -> None:
        self.file = folder / "authority.pem"
        until = datetime.now(UTC) + (ends or timedelta(days=1))
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a mail server of tests")])
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(datetime.now(UTC) - timedelta(days=2))
            .not_valid_after(until)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(
                x509.SubjectAlternativeName([x509.IPAddress(ip_address(names))]), critical=False
            )
            .sign(key, hashes.SHA256())
        )
        self.file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        both = folder / "server.pem"
        both.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
            + self.file.read_bytes()
        )
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.context.load_cert_chain(both)
