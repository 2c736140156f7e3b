"""What test workers do beyond `entries.py` where their family has a program, or may read files."""

import ctypes
import mmap
import os
import socket
import struct
import time
from pathlib import Path

from sandbox import wire
from sandbox.jail import program
from sandbox.jail.descriptors import DOWN, PROGRAM
from sandbox.jail.syscalls import syscall
from tests.sandbox import entries
from tests.sandbox.entries import Action, Answer

_BLOCK = 1024 * 1024
_REPLY = b"".join(bytes(frame) for frame in wire.reply_frames(b"got a shell", []))


def handle(header: bytes, inputs: list[bytes], _: object = None) -> Answer:
    return entries.take(entries.ACTIONS | ACTIONS, header, inputs)


def _got(what: object) -> Answer:
    return f"got {what}".encode(), []


def execute_program(words: str, inputs: list[bytes]) -> Answer:
    """The program's code, what it complained of, and its output."""
    stdin = inputs[0] if inputs else b""
    variables = {"FROM": "the worker"}
    arguments = ("intruder", *words.split())
    try:
        code, output, errors = program.run(
            arguments, stdin, output_bytes_max=64 * _BLOCK, environment=variables
        )
    except program.OutputTooLarge:
        return b"too large", []
    return f"{code} {errors.decode()}".encode(), [output]


def execute_twice(words: str, inputs: list[bytes]) -> Answer:
    return b"twice", [*execute_program(words, inputs)[1], *execute_program(words, inputs)[1]]


def talk(size: str, _: list[bytes]) -> Answer:
    said, heard = b"a word " * int(size), bytearray()
    with program.Conversation(("intruder", "talk"), {}) as conversation:
        conversation.say(said)
        while len(heard) < len(said):
            heard += conversation.hear(30)
        try:
            conversation.hear(0.01)
        except program.ProgramSilent:
            return b"talked", [bytes(heard)]
    raise AssertionError


def talk_to_the_dead(_: str, __: list[bytes]) -> Answer:
    with program.Conversation(("intruder", "crash"), {}) as conversation:
        try:
            conversation.hear(30)
        except program.ProgramEnded:
            return b"ended", []
    raise AssertionError


def execute_another_file(path: str, _: list[bytes]) -> Answer:
    """Put it in the program's place and execute that. It answers over the worker's own pipe."""
    os.dup2(DOWN, 20)
    os.dup2(os.open(path, os.O_RDONLY), PROGRAM)
    os.execve(PROGRAM, ["other", "say", "20", _REPLY.hex()], {})  # noqa: S606 - the attack
    raise AssertionError


def execute_another_descriptor(path: str, _: list[bytes]) -> Answer:
    os.dup2(DOWN, 20)
    other = os.open(path, os.O_RDONLY)
    os.execve(other, ["other", "say", "20", _REPLY.hex()], {})  # noqa: S606 - the attack
    raise AssertionError


def execute_by_path(path: str, _: list[bytes]) -> Answer:
    """Name a file where a descriptor alone is meant."""
    os.dup2(DOWN, 20)
    words = [ctypes.c_char_p(word) for word in (b"other", b"say", b"20", _REPLY.hex().encode())]
    arguments = (ctypes.c_char_p * 5)(*words, None)
    array = ctypes.create_string_buffer(bytes(arguments))
    return _got(syscall("execveat", PROGRAM, path.encode(), array, None, 0x1000))


def map_code(path: str, _: list[bytes]) -> Answer:
    return _map(path, mmap.PROT_READ | mmap.PROT_EXEC)


def map_code_to_write(path: str, _: list[bytes]) -> Answer:
    return _map(path, mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)


def _map(path: str, protection: int) -> Answer:
    file = os.open(path, os.O_RDONLY)
    return _got(syscall("mmap", 0, mmap.PAGESIZE, protection, mmap.MAP_PRIVATE, file, 0) > 0)


def open_with(words: str, _: list[bytes]) -> Answer:
    flags, path = words.split()
    return _got(os.open(path, int(flags), 0o600))


def remove(path: str, _: list[bytes]) -> Answer:
    Path(path).unlink()
    return _got("rid of it")


def pair(kind: str, _: list[bytes]) -> Answer:
    ours, its = _pair(kind)
    os.write(ours, b"to myself")
    return _got(os.read(its, 20).decode())


def send_to(words: str, _: list[bytes]) -> Answer:
    """Slip something to another socket of this machine, past a connected one of ours."""
    kind, path = words.split()
    name = ctypes.create_string_buffer(struct.pack("<H108s", socket.AF_UNIX, path.encode()))
    text = ctypes.create_string_buffer(b"a customer's bytes")
    piece = ctypes.create_string_buffer(struct.pack("@PQ", ctypes.addressof(text), len(text)))
    message = struct.pack(
        "@PIPQPQI", ctypes.addressof(name), len(name) - 1, ctypes.addressof(piece), 1, 0, 0, 0
    )
    return _got(syscall("sendmsg", _pair(kind)[0], ctypes.create_string_buffer(message), 0))


def _pair(kind: str) -> tuple[int, int]:
    """Python's own asks more of the kernel than a pair."""
    ends = ctypes.create_string_buffer(8)
    syscall("socketpair", int(socket.AF_UNIX), int(getattr(socket, kind)), 0, ends)
    first, second = struct.unpack("<2i", ends.raw)
    return first, second


def look_at(path: str, _: list[bytes]) -> Answer:
    return _got(Path(path).stat().st_size)


def leave_a_child(_: str, __: list[bytes]) -> Answer:
    child = os.fork()
    if child == 0:
        os.closerange(0, 64)
        time.sleep(600)
    return _got(child)


def leave_its_group(_: str, __: list[bytes]) -> Answer:
    child = os.fork()
    if child == 0:
        os.setsid()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    return _got(child) if status == 0 else (b"refused by its end", [])


def variable(name: str, _: list[bytes]) -> Answer:
    return _got(os.environ.get(name))


def library(_: str, __: list[bytes]) -> Answer:
    return _got(ctypes.CDLL(None).intruder_is_here())


ACTIONS: dict[str, Action] = {
    action.__name__: action
    for action in (
        execute_program, execute_twice, talk, talk_to_the_dead, execute_another_file,
        execute_another_descriptor, execute_by_path, map_code, map_code_to_write, open_with,
        remove, look_at, leave_a_child, leave_its_group, variable, library, pair, send_to,
    )
}  # fmt: skip
