"""The kernel-enforced limits of one worker, as data.

Every number has a reason; a family states its own (`engine/registry.py`) where it differs.
"""

import msgspec

MIB = 1024 * 1024


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What one worker may use. Sizes in bytes, times in seconds."""

    # A 12 MP picture decoded four times over is 200 MB; 2 GiB leaves room for libraries'
    # address space (not all of it is ever touched) and stops a bomb well before the machine.
    address_space_bytes: int = 2048 * MIB
    # RLIMIT_DATA, the memory it may write to: for a program that reserves address space by the
    # terabyte and touches little of it. 0: only the limit above.
    data_bytes: int = 0
    # Twice the slowest honest conversion we measured on a slow core.
    cpu_s: int = 60
    # The deadline for one conversion from the moment it has a slot; the host kills the worker then.
    wall_s: float = 60.0
    # Uploads and outputs live in memory on both sides of the pipe.
    input_bytes_max: int = 256 * MIB
    output_bytes_max: int = 512 * MIB
    # RLIMIT_NPROC inside the worker's user namespace: extra threads a codec may start.
    threads: int = 0
