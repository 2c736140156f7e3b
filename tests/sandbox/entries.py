"""What test workers do inside the jail: a request's header names an action and its argument.

An attack returns what it got hold of; one that the kernel refuses returns "refused" and the errno.
"""

import contextlib
import ctypes
import errno
import io
import mmap
import os
import random
import resource
import socket
import struct
import threading
import time
from collections.abc import Callable, Sequence

from sandbox import wire
from sandbox.jail.child import Tell
from sandbox.jail.descriptors import DOWN, UP
from sandbox.jail.syscalls import syscall

_LIBC = ctypes.CDLL(None, use_errno=True)
_PTRACE_TRACEME = 0
_IPC_RMID = 0
_BLOCK = 1024 * 1024

Answer = tuple[bytes, Sequence[wire.Buffer]]
Action = Callable[[str, list[bytes]], Answer]


def warm() -> None:
    pass


def touch() -> None:
    pass


def touch_crashes() -> None:
    os.abort()


def touch_raises() -> None:
    raise RuntimeError("the codec is not well")


def warm_with_a_thread() -> None:
    threading.Thread(target=time.sleep, args=(600,), daemon=True).start()


def warm_with_a_file() -> None:
    _LEFT_OPEN.append(os.open("/etc/hostname", os.O_RDONLY))


def warm_with_a_random_source() -> None:
    _LEFT_OPEN.append(os.open("/dev/urandom", os.O_RDONLY))


_LEFT_OPEN: list[int] = []


def warm_with_few_processes() -> None:
    # In the zygote itself, whose user namespace counts for itself.
    os.register_at_fork(after_in_child=lambda: resource.setrlimit(resource.RLIMIT_NPROC, (6, 6)))


def handle(header: bytes, inputs: list[bytes], tell: Tell | None = None) -> Answer:
    if header.startswith(b"tell "):
        for part in header.split()[1:]:
            if tell is not None:
                tell(int(part))
        return (b"told" if tell else b"nobody asked"), []
    return take(ACTIONS, header, inputs)


def take(actions: dict[str, Action], header: bytes, inputs: list[bytes]) -> Answer:
    name, _, argument = header.decode().partition(" ")
    try:
        return actions[name](argument, inputs)
    except OSError as refusal:
        return b"refused " + errno.errorcode.get(refusal.errno or 0, "?").encode(), []


def _got(what: object) -> Answer:
    return f"got {what}".encode(), []


def echo(_: str, inputs: list[bytes]) -> Answer:
    assert all(type(upload) is bytes for upload in inputs)
    return b"echo", inputs


def write_file(path: str, _: list[bytes]) -> Answer:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    return _got(os.write(file, b"a customer's bytes"))


def read_file(path: str, _: list[bytes]) -> Answer:
    return _got(len(os.read(os.open(path, os.O_RDONLY), 100)))


def open_socket(family: str, _: list[bytes]) -> Answer:
    with socket.socket(getattr(socket, family)) as opened:
        return _got(opened.fileno())


def connect(port: str, _: list[bytes]) -> Answer:
    with socket.socket() as connected:
        connected.connect(("127.0.0.1", int(port)))
        return _got(connected.recv(5).decode())


def execute(_: str, __: list[bytes]) -> Answer:
    # The shell answers in the worker's place, over its pipe.
    answer = b"".join(bytes(frame) for frame in wire.reply_frames(b"got a shell", []))
    octal = "".join(f"\\{byte:03o}" for byte in answer)
    with contextlib.suppress(OSError):
        os.set_inheritable(DOWN, True)
    os.execv("/bin/sh", ["sh", "-c", f"printf '{octal}' >&{DOWN}"])  # noqa: S606 - the attack


def trace(_: str, __: list[bytes]) -> Answer:
    return _got(syscall("ptrace", _PTRACE_TRACEME, 0, 0, 0))


def fork(_: str, __: list[bytes]) -> Answer:
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    return _got(child)


def memfd(_: str, __: list[bytes]) -> Answer:
    return _got(os.memfd_create("hidden"))


def share_memory(_: str, __: list[bytes]) -> Answer:
    with mmap.mmap(-1, mmap.PAGESIZE) as shared:
        shared[:5] = b"hello"
        return _got(len(shared))


def shared_segment(_: str, __: list[bytes]) -> Answer:
    segment = syscall("shmget", 0, mmap.PAGESIZE, 0o600)
    _LIBC.shmctl(segment, _IPC_RMID, None)
    return _got(segment)


def executable_memory(_: str, __: list[bytes]) -> Answer:
    private = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    everything = mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC
    with mmap.mmap(-1, mmap.PAGESIZE, flags=private, prot=everything) as room:
        return _got(len(room))


def signal_zygote(_: str, __: list[bytes]) -> Answer:
    os.kill(os.getppid(), 0)
    return _got("an answer")


def io_uring(_: str, __: list[bytes]) -> Answer:
    return _got(syscall("io_uring_setup", 1, ctypes.create_string_buffer(120)))


def thread(_: str, __: list[bytes]) -> Answer:
    said: list[str] = []
    second = threading.Thread(target=said.append, args=("a thread",))
    second.start()
    second.join()
    return _got(said[0])


def read_random(_: str, __: list[bytes]) -> Answer:
    return _got(len(os.read(_LEFT_OPEN[0], 16)))


def draw_lots(_: str, __: list[bytes]) -> Answer:
    return _got(random.getrandbits(64))


def root_again(_: str, __: list[bytes]) -> Answer:
    os.setresuid(0, 0, 0)
    return _got(os.geteuid())


def segfault(_: str, __: list[bytes]) -> Answer:
    ctypes.string_at(8)
    raise AssertionError


def abort(_: str, __: list[bytes]) -> Answer:
    os.abort()


def forbidden_call(_: str, __: list[bytes]) -> Answer:
    return _got(syscall("bpf", 0, None, 0))


def spin(_: str, __: list[bytes]) -> Answer:
    while True:
        pass


def burn(seconds: str, _: list[bytes]) -> Answer:
    until = time.process_time() + float(seconds)
    while time.process_time() < until:
        pass
    return b"burnt", []


def store(path: str, inputs: list[bytes]) -> Answer:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    os.write(file, inputs[0])
    os.fsync(file)
    return b"stored", []


def hang(_: str, __: list[bytes]) -> Answer:
    time.sleep(600)
    raise AssertionError


def hang_in_c(_: str, __: list[bytes]) -> Answer:
    # PyDLL keeps the interpreter's lock: no Python thread and no Python signal handler can run.
    ctypes.PyDLL(None).sleep(600)
    raise AssertionError


def allocate(_: str, __: list[bytes]) -> Answer:
    hoard = []
    while True:
        hoard.append(bytearray(_BLOCK))


def allocate_in_c(_: str, __: list[bytes]) -> Answer:
    malloc = _LIBC.malloc
    malloc.restype = ctypes.c_void_p
    while True:
        block = malloc(ctypes.c_size_t(_BLOCK))
        if not block:
            os.abort()  # what operator new and most C libraries do
        ctypes.memset(block, 1, _BLOCK)


def leave(status: str, _: list[bytes]) -> Answer:
    os._exit(int(status))


def fail(_: str, inputs: list[bytes]) -> Answer:
    raise ValueError(inputs)


def half_a_reply(_: str, __: list[bytes]) -> Answer:
    whole = b"".join(bytes(frame) for frame in wire.reply_frames(b"header", [bytes(1000)]))
    os.write(DOWN, whole[:-1])
    os._exit(0)


def garbage(_: str, __: list[bytes]) -> Answer:
    os.write(DOWN, b"\xff" * 64)
    time.sleep(600)
    raise AssertionError


def chatter(parts: str, _: list[bytes]) -> Answer:
    os.write(DOWN, b"".join(wire.part_frame(int(part)) for part in parts.split()))
    return b"done", []


def last_word(part: str, inputs: list[bytes]) -> Answer:
    os.write(DOWN, b"".join(bytes(one) for one in wire.reply_frames(b"done", inputs)))
    os.write(DOWN, wire.part_frame(int(part)))
    time.sleep(600)
    raise AssertionError


def flood(_: str, __: list[bytes]) -> Answer:
    part = 0
    while True:
        part += 1
        os.write(DOWN, wire.part_frame(part % 2**32))


def boast(size: str, _: list[bytes]) -> Answer:
    os.write(DOWN, struct.pack("<BIIBQ", ord("A"), 1, 1, 0, int(size)))
    time.sleep(600)
    raise AssertionError


def hang_up_and_stay(_: str, __: list[bytes]) -> Answer:
    os.close(UP)
    os.close(DOWN)
    time.sleep(600)
    raise AssertionError


def linger(_: str, __: list[bytes]) -> Answer:
    frames = [bytes(frame) for frame in wire.reply_frames(b"done", [])]
    os.writev(DOWN, frames)
    time.sleep(600)
    raise AssertionError


def speak_for_the_zygote(_: str, inputs: list[bytes]) -> Answer:
    os.write(0, inputs[0])
    time.sleep(600)
    raise AssertionError


def descriptors(_: str, __: list[bytes]) -> Answer:
    found = []
    for number in range(64):
        try:
            os.lseek(number, 0, os.SEEK_CUR)
        except OSError as error:
            if error.errno == errno.EBADF:
                continue
        found.append(number)
    return _got(found)


def grow(_: str, inputs: list[bytes]) -> Answer:
    # What a codec does: a file object over the input, an output that grows.
    output = io.BytesIO()
    output.write(inputs[0])
    return b"grown", [output.getbuffer()]


ACTIONS: dict[str, Action] = {
    action.__name__: action
    for action in (
        echo, write_file, read_file, open_socket, connect, execute, trace, fork, memfd,
        share_memory, shared_segment, executable_memory, signal_zygote, io_uring, root_again,
        thread, segfault, abort, forbidden_call, spin, burn, store, hang, hang_in_c, allocate,
        allocate_in_c, leave, fail, half_a_reply, garbage, boast, chatter, last_word, flood,
        hang_up_and_stay, linger, speak_for_the_zygote, descriptors, grow, read_random,
        draw_lots,
    )
}  # fmt: skip
