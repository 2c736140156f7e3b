"""Servers on this machine that answer a fetch by hand, well or badly, and note who came."""

import asyncio
import datetime as dt
import ipaddress
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from gateway.outbound.client import Outbound
from gateway.outbound.connecting import Resolve
from gateway.outbound.settings import FetchConfig, HooksConfig

Answers = Callable[[str, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
HERE = ("127.0.0.1/32",)


class Origin:
    """One server, with all that it was asked."""

    def __init__(self, port: int, scheme: str) -> None:
        self.port = port
        self.scheme = scheme
        self.connections = 0
        self.heads: list[str] = []
        # Set when a client closed or reset its connection.
        self.left = asyncio.Event()

    def url(self, path: str = "/", host: str = "127.0.0.1") -> str:
        return f"{self.scheme}://{host}:{self.port}{path}"


@asynccontextmanager
async def serving(
    answers: Answers | bytes, *, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None
) -> AsyncIterator[Origin]:
    """A server that calls `answers` with the path of each request, or says these bytes."""
    here: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        here[task] = writer
        origin.connections += 1
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            origin.heads.append(head)
            if isinstance(answers, bytes):
                writer.write(answers)
            else:
                await answers(head.split()[1], reader, writer)
            writer.close()
            await writer.wait_closed()
        except (ConnectionError, asyncio.IncompleteReadError):
            origin.left.set()
        finally:
            writer.transport.abort()
            del here[task]

    server = await asyncio.start_server(connected, host, 0, ssl=tls)
    origin = Origin(server.sockets[0].getsockname()[1], "https" if tls else "http")
    try:
        yield origin
    finally:
        server.close()
        for writer in here.values():
            writer.transport.abort()
        await asyncio.gather(*here, return_exceptions=True)


async def silent(_path: str, reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """Say nothing until the client has had enough."""
    await reader.read()
    raise ConnectionResetError


def file(body: bytes, *fields: str, status: str = "200 OK") -> bytes:
    """A whole answer."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *fields, "", ""]
    return "\r\n".join(lines).encode() + body


def redirect(location: str, status: int = 302) -> bytes:
    return file(b"elsewhere", f"Location: {location}", status=f"{status} Elsewhere")


class Tallied(Outbound):
    """The client with what it reports, and settings that reach this machine."""

    def __init__(
        self, *, resolve: Resolve | None = None, hooks: HooksConfig | None = None, **config: object
    ) -> None:
        self.ends: list[str] = []
        given = {"enabled": True, "allow": HERE, "ports": ()} | config
        super().__init__(
            FetchConfig(**given),  # type: ignore[arg-type]
            hooks or HooksConfig(),
            count=lambda _purpose, outcome: self.ends.append(outcome),
            resolve=resolve,
        )

    async def whole(self, url: str, **headers: str) -> bytes:
        async with self.fetch(url, headers) as fetched:
            return b"".join([bytes(piece) async for piece in fetched.pieces])


class Authority:
    """A certificate authority of our own and what it has signed, in one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "an authority for tests")])
        self.path = folder / "authority.pem"
        certificate = self._signed(
            self._name, self._key, x509.BasicConstraints(ca=True, path_length=0)
        )
        self.path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def server(self, host: str) -> ssl.SSLContext:
        """TLS for a server of this name or address."""
        key = ec.generate_private_key(ec.SECP256R1())
        try:
            name: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(host))
        except ValueError:
            name = x509.DNSName(host)
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a server for tests")])
        certificate = self._signed(subject, key, x509.SubjectAlternativeName([name]))
        path = self._folder / f"{host}.pem"
        path.write_bytes(
            certificate.public_bytes(serialization.Encoding.PEM)
            + key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(path)
        return context

    def _signed(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, extension: x509.ExtensionType
    ) -> x509.Certificate:
        now = dt.datetime.now(dt.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(hours=1))
            .not_valid_after(now + dt.timedelta(days=1))
            .add_extension(extension, critical=True)
            .sign(self._key, hashes.SHA256())
        )
