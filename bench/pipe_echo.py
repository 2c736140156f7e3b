"""What a worker of `bench/pipes.py` does: it gives back what it got. Imports nothing else."""


def warm() -> None:
    """Nothing to warm."""


def touch() -> None:
    """Nothing to touch."""


def handle(_: bytes, inputs: list[bytes], __: object = None) -> tuple[bytes, list[bytes]]:
    """The inputs, as they came."""
    return b"echo", inputs
