"""The one program that a family's workers may execute: its bytes in, its bytes out, its end.

A family names the program (`Family.program`); the zygote opens it before it confines itself and
hands it down as descriptor PROGRAM. A worker forks, and the child executes exactly that descriptor.
A converter does it like this:

    status, output, errors = program.run(
        ("pandoc", "--sandbox", "-f", "markdown", "-t", "docx", "-o", "-"),
        work.inputs[0],
        output_bytes_max=work.bounds.output_bytes_max,
    )

What holds for the program, and by what:

  * it is this file and no other: Landlock lets nothing else be executed (but the loader of a
    dynamically linked one), and the filter accepts no other descriptor;
  * it opens nothing but what its family `reads`, writes nothing, has no socket: it inherits the
    worker's namespaces, Landlock domain, limits and filter. What its own runtime needs beyond the
    filter's table is the family's `calls`, and threads are its `Limits.threads`;
  * it starts no process: a second filter is loaded for it alone;
  * it dies with its worker (parent-death signal), and the zygote ends its whole process group when
    the worker is gone. A worker that is killed at its deadline takes it along;
  * each execution has the worker's CPU seconds and address space for itself.

pandoc needs `calls=("timerfd_create", "timerfd_settime")` and `Limits.threads` of 1, both for the
ticker of GHC's runtime.
"""

import contextlib
import io
import os
import select
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import NoReturn, Self

from sandbox.jail import privileges, seccomp
from sandbox.jail.descriptors import PROGRAM
from sandbox.wire import Buffer

# What a pipe that is ready takes without blocking (POSIX), and what one read may bring.
_WRITE_BYTES = select.PIPE_BUF
_READ_BYTES = 64 * 1024
# Error output is for one sentence; what is beyond is read and dropped, or the program would wait.
ERRORS_BYTES_MAX = 64 * 1024
# How long a program that was hung up on may take to end before its end is left to the zygote.
_ENDING_S = 2.0
_ENDING_STEP_S = 0.002
_EXIT_NOT_EXECUTED = 127

_STDIN, _STDOUT, _STDERR = 0, 1, 2
# Where a program that is talked with hears and speaks (Chromium's --remote-debugging-pipe).
_HEARS, _SPEAKS = 3, 4


class OutputTooLarge(Exception):
    """The program wrote more than the caller takes."""


class ProgramEnded(Exception):
    """The program hung up in the middle of a conversation."""


class ProgramSilent(Exception):
    """The program said nothing for as long as the caller was ready to wait."""


def run(
    arguments: Sequence[str],
    stdin: Buffer,
    *,
    output_bytes_max: int,
    environment: Mapping[str, str] | None = None,
) -> tuple[int, bytes, bytes]:
    """Execute the program once; return its exit code, its output and its error output.

    The code is negative for a signal (-24: out of CPU seconds), 127 where it could not be executed.
    `arguments` begins with the program's name for itself. Raises OutputTooLarge.
    """
    unfed = memoryview(stdin).cast("B")
    output, errors = io.BytesIO(), io.BytesIO()
    with _Child(arguments, environment or {}, to=(_STDIN,), of=(_STDOUT, _STDERR)) as child:
        if not unfed:
            child.hang_up(_STDIN)
        while child.ours:
            for number in child.ready():
                if number == _STDIN:
                    unfed = unfed[child.write(_STDIN, unfed) :]
                    if not unfed:
                        child.hang_up(_STDIN)
                    continue
                piece = child.read(number)
                if number == _STDERR:
                    errors.write(piece[: ERRORS_BYTES_MAX - errors.tell()])
                elif output.write(piece) and output.tell() > output_bytes_max:
                    raise OutputTooLarge
        code = child.wait()
    return code, output.getvalue(), errors.getvalue()


class Conversation:
    """A program that is talked with over its descriptors 3 and 4. A context manager.

    What it prints goes nowhere. Leaving the block hangs up; a program that does not end by itself
    then ends with its worker.
    """

    def __init__(self, arguments: Sequence[str], environment: Mapping[str, str]) -> None:
        self._child = _Child(arguments, environment, to=(_HEARS,), of=(_SPEAKS,), mute=True)
        # What arrived while we were speaking: both sides may have more to say than a pipe holds.
        self._heard: list[bytes] = []

    def __enter__(self) -> Self:
        self._child.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._child.__exit__()

    def say(self, words: Buffer) -> None:
        """Send all of this. Raises ProgramEnded."""
        unsaid = memoryview(words).cast("B")
        while unsaid:
            for number in self._child.ready():
                if number == _HEARS:
                    unsaid = unsaid[self._child.write(_HEARS, unsaid) :]
                elif piece := self._child.read(_SPEAKS):
                    self._heard.append(piece)
            if self._child.ours.keys() != {_HEARS, _SPEAKS}:
                raise ProgramEnded

    def hear(self, timeout_s: float) -> bytes:
        """Return some bytes, as soon as there are any. Raises ProgramEnded, ProgramSilent."""
        if self._heard:
            return self._heard.pop(0)
        if _SPEAKS not in self._child.ours:
            raise ProgramEnded
        if _SPEAKS not in self._child.ready(timeout_s, only=_SPEAKS):
            raise ProgramSilent
        if piece := self._child.read(_SPEAKS):
            return piece
        raise ProgramEnded


class _Child:
    """One execution: the child's pid and our ends of its pipes, by the child's own numbers."""

    def __init__(
        self,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        *,
        to: Sequence[int],
        of: Sequence[int],
        mute: bool = False,
    ) -> None:
        self._arguments = arguments
        self._environment = environment
        self._to, self._of, self._mute = to, of, mute
        self._pid = 0
        self.ours: dict[int, int] = {}

    def __enter__(self) -> Self:
        its: dict[int, int] = {}
        try:
            with _standard_places_taken():
                self._make_pipes(its)
                worker = os.getpid()
                self._pid = os.fork()
                if self._pid == 0:
                    self._become_program(its, worker)
        except BaseException:
            self._hang_up_all()
            raise
        finally:
            for end in set(its.values()):
                os.close(end)
        return self

    def __exit__(self, *_: object) -> None:
        self._hang_up_all()
        until = time.monotonic() + _ENDING_S
        while self._pid and time.monotonic() < until:
            ended, _status = os.waitpid(self._pid, os.WNOHANG)
            if ended:
                self._pid = 0
            else:
                time.sleep(_ENDING_STEP_S)

    def ready(self, timeout_s: float | None = None, *, only: int | None = None) -> list[int]:
        """Wait until some of our ends are ready (or `only` that one), and return their numbers."""
        poll = select.poll()
        for number, end in self.ours.items():
            if only in {None, number}:
                poll.register(end, select.POLLOUT if number in self._to else select.POLLIN)
        ready = {end for end, _ in poll.poll(None if timeout_s is None else timeout_s * 1000)}
        return [number for number, end in self.ours.items() if end in ready]

    def write(self, number: int, piece: memoryview) -> int:
        """Write what fits at once; all of it counts as written where nobody reads any more."""
        try:
            return os.write(self.ours[number], piece[:_WRITE_BYTES])
        except BrokenPipeError:
            self.hang_up(number)
            return len(piece)

    def read(self, number: int) -> bytes:
        """Read what there is; at the end it is nothing, and the end is closed."""
        piece = os.read(self.ours[number], _READ_BYTES)
        if not piece:
            self.hang_up(number)
        return piece

    def hang_up(self, number: int) -> None:
        """Close one of our ends, if it is open."""
        if number in self.ours:
            os.close(self.ours.pop(number))

    def wait(self) -> int:
        """Wait for its end and return its exit code."""
        _, status = os.waitpid(self._pid, 0)
        self._pid = 0
        return os.waitstatus_to_exitcode(status)

    def _hang_up_all(self) -> None:
        for number in tuple(self.ours):
            self.hang_up(number)

    def _make_pipes(self, its: dict[int, int]) -> None:
        for number in self._to:
            its[number], self.ours[number] = os.pipe()
        for number in self._of:
            self.ours[number], its[number] = os.pipe()
        if self._mute:
            # Ends without another one: nothing to read, and what is written is nowhere.
            its[_STDIN], writer = os.pipe()
            reader, its[_STDOUT] = os.pipe()
            its[_STDERR] = its[_STDOUT]
            os.close(writer)
            os.close(reader)

    def _become_program(self, its: Mapping[int, int], worker: int) -> NoReturn:
        try:
            if not self._mute:
                # Python ignores it, and what is ignored stays so: a program that is hung up on
                # would work on for nobody.
                signal.signal(signal.SIGPIPE, signal.SIG_DFL)
            privileges.die_with_parent(worker)
            for number, end in its.items():
                os.dup2(end, number)
            seccomp.load_for_program()
            os.execve(PROGRAM, list(self._arguments), self._environment)  # noqa: S606 - the point
        finally:
            os._exit(_EXIT_NOT_EXECUTED)


@contextlib.contextmanager
def _standard_places_taken() -> Iterator[None]:
    """Keep the pipes that are made meanwhile off 0, 1 and 2, where the child's own will be."""
    taken = []
    for place in (_STDIN, _STDOUT, _STDERR):
        try:
            os.fstat(place)
        except OSError:
            os.dup2(PROGRAM, place, inheritable=False)
            taken.append(place)
    try:
        yield
    finally:
        for place in taken:
            os.close(place)
