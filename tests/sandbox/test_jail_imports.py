"""What a bare interpreter loads with the jail: a linter sees imports, not what they drag along."""

import subprocess
import sys

import pytest

FORBIDDEN = {
    "aiohttp", "asyncio", "asyncpg", "concurrent", "engine", "gateway", "http", "ledger",
    "logging", "multiprocessing", "pickle", "sandbox.host", "ssl", "subprocess", "tempfile",
    "urllib.request", "uvloop",
}  # fmt: skip


@pytest.mark.claim("C-JAIL-1")
def test_the_jail_loads_nothing_of_the_host_and_nothing_that_it_has_no_use_for() -> None:
    program = "import sys, sandbox.jail.zygote; print(*sys.modules)"
    listed = subprocess.run(
        [sys.executable, "-I", "-c", program], capture_output=True, check=True, text=True
    )
    loaded = set(listed.stdout.split())
    assert "sandbox.jail.confine" in loaded
    assert {name for name in FORBIDDEN if name in loaded} == set()
