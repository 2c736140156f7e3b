"""The official clients, as their registries give them: pinned by hash, in a cache of the user's.

    python -m tests.compat.clients      # what set-up calls; does nothing where they are there

Two versions of one package cannot be installed beside each other, and nothing of them is a
dependency of ours, so each has a folder of its own outside the checkout. The folder's name holds
the digest of what it was made from. Where there is no network the tests of a client are skipped.

Locks are renewed as those in `deploy/` are (CONTRIBUTING.md), the client's own lines apart from
those of `requests`; Node's in its folder, and without the addresses that `funding` has:

    npm install --package-lock-only --ignore-scripts --omit-lockfile-registry-resolved
"""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec

HERE = Path(__file__).resolve().parent
# A registry that is slow; beyond it the client is left out.
INSTALL_S = 300


class Client(msgspec.Struct, frozen=True, kw_only=True):
    """One version of one client."""

    name: str
    # What decides its contents, besides this interpreter's version.
    locks: tuple[Path, ...]
    install: "Callable[[Path, Client], None]"
    run: "Callable[[Path], tuple[list[str], dict[str, str]]]"
    needs: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        made_of = [
            sys.implementation.cache_tag.encode(),
            *(lock.read_bytes() for lock in self.locks),
        ]
        digest = hashlib.sha256(b"".join(made_of))
        return cache() / f"{self.name.replace(' ', '-')}-{digest.hexdigest()[:12]}"

    def missing(self) -> str | None:
        """Why it cannot run here; None where it can."""
        for program in self.needs:
            if shutil.which(program) is None:
                return f"{program} is not installed"
        if not self.folder.is_dir():
            return f"the client {self.name} is not there: python -m tests.compat.clients"
        return None

    def command(self) -> tuple[list[str], dict[str, str]]:
        """What starts its driver, and with what environment."""
        return self.run(self.folder)

    def fetch(self) -> None:
        """Install it where it is missing. Raises CalledProcessError, TimeoutExpired, OSError."""
        if self.folder.is_dir():
            return
        making = self.folder.with_name(f".{self.folder.name}.{os.getpid()}")
        making.mkdir(parents=True)
        try:
            self.install(making, self)
            # Whole or not at all; another process may have been first.
            if not self.folder.is_dir():
                making.rename(self.folder)
        finally:
            shutil.rmtree(making, ignore_errors=True)


def cache() -> Path:
    """Where clients are kept: the user's cache."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "ephemera" / "clients"


def _pip(target: Path, client: Client) -> None:
    words = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    words += ["--require-hashes", "--target", str(target), "-r", str(client.locks[0])]
    subprocess.run(words, check=True, timeout=INSTALL_S)


def _npm(target: Path, client: Client) -> None:
    for lock in client.locks:
        shutil.copy(lock, target)
    words = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    subprocess.run(words, check=True, timeout=INSTALL_S, cwd=target)


def _python(folder: Path) -> tuple[list[str], dict[str, str]]:
    # -S: nothing of the checkout's own environment, so that the client meets its own libraries.
    return [sys.executable, "-S", str(HERE / "python" / "driver.py")], {"PYTHONPATH": str(folder)}


def _node(folder: Path) -> tuple[list[str], dict[str, str]]:
    modules = str(folder / "node_modules")
    return ["node", str(HERE / "node" / "driver.cjs")], {"NODE_PATH": modules}


def _from_pypi(version: str) -> Client:
    folder = HERE / "python"
    return Client(
        name=f"python {version}",
        locks=(folder / f"convertapi-{version}.lock", folder / "requests.lock"),
        install=_pip,
        run=_python,
    )


CLIENTS = (
    _from_pypi("2.0.1"),
    _from_pypi("1.8.0"),
    Client(
        name="node 1.15.0",
        locks=(HERE / "node" / "package-lock.json", HERE / "node" / "package.json"),
        install=_npm,
        run=_node,
        needs=("node",),
    ),
)


def main() -> int:
    """Install all that can be; 1 where one is missing."""
    failed = 0
    for client in CLIENTS:
        try:
            client.fetch()
        except (subprocess.SubprocessError, OSError) as error:
            sys.stderr.write(f"the client {client.name} cannot be installed: {error}\n")
            failed = 1
    return failed


if __name__ == "__main__":
    sys.exit(main())
