"""EPHEMERA_HOME: the database, its socket and lock files, and the secrets. Nothing else, ever."""

import os
import secrets
from pathlib import Path

from gateway.config import Settings
from gateway.errors import ConfigError

PEPPER_FILE = "pepper"
PEPPER_BYTES = 32


def prepare(home: Path) -> None:
    """Make the directory, for this user alone. Raises ConfigError."""
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"cannot make {home}: {error.strerror}; name another directory in EPHEMERA_HOME"
        ) from error


def pepper(settings: Settings) -> bytes:
    """The key under which API keys are hashed: the operator's, or made once and kept here.

    To lose it is to lose every API key, so it is never made again where a database may exist that
    needs the old one: only this file's absence makes a new one.
    """
    if settings.ledger.pepper:
        return settings.ledger.pepper.encode()
    path = settings.home / PEPPER_FILE
    try:
        return _kept(path)
    except OSError as error:
        raise ConfigError(f"cannot keep the pepper in {path}: {error.strerror}") from error


def _kept(path: Path) -> bytes:
    """Read the secret, or make it under a lock-free rule: the first link to the name wins."""
    if not path.exists():
        draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_hex(PEPPER_BYTES).encode())
            file.flush()
            os.fsync(file.fileno())
        try:
            path.hardlink_to(draft)
        except FileExistsError:
            pass  # another process started at the same moment; its secret counts
        finally:
            draft.unlink()
    return path.read_bytes().strip()
