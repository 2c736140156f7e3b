"""A worker's pipes get their places, whatever numbers they came with."""

import subprocess
import sys

import pytest

PROGRAM = """
import os, sys
from sandbox.jail.descriptors import DOWN, UP, take_pipes

up, down = int(sys.argv[1]), int(sys.argv[2])
(read_up, write_up), (read_down, write_down) = os.pipe(), os.pipe()
far = [os.dup2(end, 30 + at) for at, end in enumerate((read_up, write_up, read_down, write_down))]
os.closerange(3, 30)
os.dup2(far[0], up)
os.dup2(far[3], down)
os.close(far[0])
os.close(far[3])
take_pipes(up, down)
os.write(far[1], b"up")
os.write(DOWN, os.read(UP, 9) + b" and down")
inherited = [place for place in (UP, DOWN) if os.get_inheritable(place)]
os.close(DOWN)
print(os.read(far[2], 99).decode(), inherited)
print(sorted(int(name) for name in os.listdir("/proc/self/fd") if 2 < int(name) < 30))
"""


@pytest.mark.parametrize(("up", "down"), [(3, 4), (4, 3), (4, 9), (9, 3), (9, 10), (3, 9), (9, 4)])
def test_pipes_of_any_numbers_become_up_and_down_and_leave_no_other(up: int, down: int) -> None:
    said = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(up), str(down)],
        capture_output=True,
        check=True,
        text=True,
    ).stdout.splitlines()
    # DOWN was closed by the program, and its number is then the listing's own.
    assert said == ["up and down []", "[3, 4]"]
