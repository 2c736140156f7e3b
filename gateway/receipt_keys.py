"""The keys that sign receipts: files in EPHEMERA_HOME, the newest signs, all are published.

A key is made where there is none. It is rotated by adding one; older ones stay published, because
receipts outlive them. A file's name is when its key was made, so the name of the next one says
until when it signed.
"""

import itertools
import os
from datetime import UTC, datetime
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from gateway.errors import ConfigError
from gateway.receipts import PublicKey, key_id, public_text

FOLDER = "receipt-keys"
_STAMP = "%Y%m%dT%H%M%SZ"


def now() -> str:
    """This moment as receipts and keys say it."""
    return _moment(datetime.now(UTC))


class ReceiptKeys:
    """The keys of one home. Files are looked at when something is asked, never at start."""

    def __init__(self, home: Path, folder: str = FOLDER) -> None:
        self._folder = home / folder

    def signing(self) -> Ed25519PrivateKey:
        """The newest key, made now if there is none. Raises ConfigError."""
        try:
            paths = self._paths() or [self._make()]
            return _read(paths[-1])
        except OSError as error:
            raise ConfigError(
                f"cannot keep a key for signing in {self._folder}: {error.strerror}"
            ) from error

    def published(self) -> tuple[PublicKey, ...]:
        """All public keys, the oldest first. Raises ConfigError."""
        try:
            keys = [(_made(path), _read(path).public_key()) for path in self._paths()]
        except OSError as error:
            raise ConfigError(f"cannot read {self._folder}: {error.strerror}") from error
        ends = {older: newer for (older, _), (newer, _) in itertools.pairwise(keys)}
        return tuple(
            PublicKey(
                kid=key_id(key), x=public_text(key), valid_from=made, valid_until=ends.get(made)
            )
            for made, key in keys
        )

    def rotate(self) -> PublicKey:
        """Add a key, by which a service signs from now on. Raises ConfigError."""
        try:
            self._make()
        except OSError as error:
            raise ConfigError(f"cannot add a key to {self._folder}: {error.strerror}") from error
        return self.published()[-1]

    def _paths(self) -> list[Path]:
        return sorted(self._folder.glob("*.pem"))

    def _make(self) -> Path:
        self._folder.mkdir(mode=0o700, exist_ok=True)
        pem = Ed25519PrivateKey.generate().private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
        )
        path = self._folder / f"{datetime.now(UTC).strftime(_STAMP)}.pem"
        draft = path.with_suffix(f".{os.getpid()}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(pem)
            file.flush()
            os.fsync(file.fileno())
        try:
            path.hardlink_to(draft)
        except FileExistsError:
            pass  # another process made one in the same second: that one counts
        finally:
            draft.unlink()
        return path


def _read(path: Path) -> Ed25519PrivateKey:
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ConfigError(f"{path} is not a private key in PEM") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigError(f"{path} is not an Ed25519 key")
    return key


def _made(path: Path) -> str:
    try:
        return _moment(datetime.strptime(path.stem, _STAMP).replace(tzinfo=UTC))
    except ValueError as error:
        raise ConfigError(f"{path} is not named after when its key was made") from error


def _moment(when: datetime) -> str:
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")
