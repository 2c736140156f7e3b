"""EPHEMERA_HOME: the database, its socket and lock files, and the secrets. Nothing else, ever."""

import os
import secrets
from pathlib import Path

from gateway.config import Settings
from gateway.errors import ConfigError
from ledger.envelope import new_key, parse_keys

PEPPER_FILE = "pepper"
PEPPER_BYTES = 32
KEK_FILE = "kek"


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
        return _kept(path, secrets.token_hex(PEPPER_BYTES))
    except OSError as error:
        raise ConfigError(f"cannot keep the pepper in {path}: {error.strerror}") from error


def keks(settings: Settings) -> tuple[bytes, ...]:
    """The keys of the envelope (`ledger/envelope.py`): the operator's, or made once and kept here.

    To lose one is to lose what is sealed with it; as with the pepper, only absence makes a new one.
    """
    path = settings.home / KEK_FILE
    try:
        return parse_keys(settings.ledger.kek or _kept(path, new_key()).decode())
    except OSError as error:
        raise ConfigError(f"cannot keep the envelope key in {path}: {error.strerror}") from error
    except ValueError as error:
        place = "ledger.kek" if settings.ledger.kek else str(path)
        raise ConfigError(f"{place} is no list of keys: {error}") from error


def add_kek(settings: Settings) -> Path:
    """Add a key to the kept ones, which seals from the next start on. Raises ConfigError."""
    if settings.ledger.kek:
        raise ConfigError("ledger.kek names the envelope keys; add the new one to it yourself")
    path = settings.home / KEK_FILE
    keks(settings)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        _write(draft, "\n".join([path.read_text("ascii").strip(), new_key()]))
        parse_keys(draft.read_text("ascii"))
        draft.replace(path)
    except OSError as error:
        raise ConfigError(f"cannot add a key to {path}: {error.strerror}") from error
    except ValueError as error:
        raise ConfigError(f"no key was added to {path}: {error}") from error
    finally:
        draft.unlink(missing_ok=True)
    return path


def _kept(path: Path, made: str) -> bytes:
    """Read the secret, or keep `made` under a lock-free rule: the first link to the name wins."""
    if not path.exists():
        draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        _write(draft, made)
        try:
            path.hardlink_to(draft)
        except FileExistsError:
            pass  # another process started at the same moment; its secret counts
        finally:
            draft.unlink()
    return path.read_bytes().strip()


def _write(path: Path, text: str) -> None:
    """Write a new file for this user alone, and see it to the disk."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(text.encode())
        file.flush()
        os.fsync(file.fileno())
