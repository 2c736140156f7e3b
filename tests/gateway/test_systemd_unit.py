"""deploy/systemd/ephemera.service: valid, and in agreement with the service it starts."""

import shutil
import subprocess
from pathlib import Path

import pytest

from gateway import config
from gateway.cli.terminal import Exit
from gateway.drain import SHOW_OUT_S

UNIT = Path(__file__).parents[2] / "deploy" / "systemd" / "ephemera.service"
# Each would take from the sandbox what it is made of; the unit says why.
FORBIDDEN = (
    "RestrictNamespaces",
    "SystemCallFilter",
    "PrivateUsers",
    "RestrictAddressFamilies",
    "MemoryDenyWriteExecute",
    "ProcSubset",
    "ProtectProc",
    "DynamicUser",
)
# How long the embedded PostgreSQL may take to stop and to start (ledger/embedded.py).
POSTGRES_STOP_S, POSTGRES_START_S = 60, 600


def said() -> dict[str, str]:
    lines = (line for line in UNIT.read_text().splitlines() if "=" in line and line[0] != "#")
    return dict(line.split("=", 1) for line in lines)


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd here")
def test_systemd_takes_the_unit_as_it_is(tmp_path: Path) -> None:
    # The program is not installed where the unit says.
    text = UNIT.read_text().replace("/opt/ephemera/bin/ephemera", "/bin/true")
    (tmp_path / UNIT.name).write_text(text)
    verdict = subprocess.run(
        ["systemd-analyze", "verify", tmp_path / UNIT.name],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (verdict.returncode, verdict.stdout + verdict.stderr) == (0, "")


def test_nothing_is_set_that_the_sandbox_cannot_live_with() -> None:
    assert [name for name in FORBIDDEN if name in said()] == []
    assert all(f"#   {name}=" in UNIT.read_text() or f", {name}=" in UNIT.read_text()
               for name in FORBIDDEN)  # fmt: skip


def test_systemd_has_the_patience_that_a_stop_and_a_start_need() -> None:
    unit, settings = said(), config.load({})
    needed = settings.server.drain_s + SHOW_OUT_S + POSTGRES_STOP_S
    assert int(unit["TimeoutStopSec"]) > needed
    assert int(unit["TimeoutStartSec"]) > POSTGRES_START_S


def test_only_the_gateway_is_asked_to_stop_and_only_it_may_speak() -> None:
    unit = said()
    assert (unit["KillMode"], unit["NotifyAccess"], unit["Type"]) == ("mixed", "main", "notify")


def test_what_starting_again_cannot_mend_is_not_started_again() -> None:
    codes = {int(code) for code in said()["RestartPreventExitStatus"].split()}
    assert codes == {Exit.USAGE, Exit.CONFIG}
