"""`ephemera doctor`: what this machine gives, what is missing, and what to do about it."""

from gateway.cli.terminal import DEFAULTS, Exit, Source


def doctor(*, source: Source = DEFAULTS) -> int:
    """Examine the kernel, the sandbox and the database."""
    source.settings()
    return Exit.OK
