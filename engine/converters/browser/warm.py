"""What the browser family does before a page arrives."""

import msgspec

from engine.converters.browser import capturing, devtools, loading, printing, spare

__all__ = ["capturing", "loading", "printing", "touch", "warm"]


def warm() -> None:
    """Use once what is on this side of the pipe: the browser has its turn in `touch`."""
    message = devtools.Message(method="Page.loadEventFired")
    msgspec.json.Decoder(devtools.Message).decode(msgspec.json.encode(message))


def touch() -> None:
    """Start the browser that the conversion to come will use."""
    spare.prepare()
