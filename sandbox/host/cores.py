"""No core dump of the process that has customers' files in its memory.

A limit of 0 stops a core file, but not one that is piped to a program (systemd-coredump, apport),
for which the kernel ignores the limit; except that 1 means to it "not even then" (fs/coredump.c).
A file of one byte is none either. Workers and zygotes are undumpable anyway.
"""

import resource

_NOT_EVEN_PIPED = 1


def leave_none() -> None:
    """From here on, for this process and, until they say otherwise, what it starts. Idempotent."""
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    if hard != 0:
        resource.setrlimit(resource.RLIMIT_CORE, (_NOT_EVEN_PIPED, hard))
