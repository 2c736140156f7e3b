"""One conversion in an interpreter of its own, unsandboxed: what `bench workers` compares with.

Standard input: a u32 length, a request header, the file. Standard output: the result.
"""

import struct
import sys

from engine.task import handle


def convert() -> None:
    """Convert standard input to standard output."""
    (length,) = struct.unpack("<I", sys.stdin.buffer.read(4))
    header = sys.stdin.buffer.read(length)
    _, files = handle(header, [sys.stdin.buffer.read()])
    sys.stdout.buffer.write(files[0])


if __name__ == "__main__":
    convert()
