"""Is the service ahead of what people would use in its place: the same requests, side by side?"""

import importlib


def main(argv: list[str]) -> int:
    """Compare; what that needs is loaded only now, because others list the questions."""
    return int(importlib.import_module("bench.peers.compare").main(argv))
