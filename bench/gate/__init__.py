"""Does a request cost more system calls, page faults, statements or copies than it did?"""

import importlib


def main(argv: list[str]) -> int:
    """Count and compare; what that needs is loaded only now."""
    return int(importlib.import_module("bench.gate.gate").main(argv))
