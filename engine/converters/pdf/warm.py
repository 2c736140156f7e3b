"""Use every PDF codec once, on a document small enough to cost nothing."""


def warm() -> None:
    """Nothing yet."""


def touch() -> None:
    """Nothing yet."""
