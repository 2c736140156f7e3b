"""A worker: confined first, then one request, one reply, and the end of the process.

A worker that was forked for several uses announces itself again after each reply; the last one, or
the host hanging up in between, is its end too.

Nothing that goes wrong in here is ever printed: an exception could quote the customer's file. What
fails before the first byte of it is told to the host in place of READY; afterwards the exit status
(`wire.EXIT_*`) is all that leaves.
"""

import gc
import os
from collections.abc import Callable, Iterable, Sequence

import msgspec

from sandbox import wire
from sandbox.jail import descriptors, privileges, probe
from sandbox.jail.confine import Jail, Refused, Where, confine
from sandbox.jail.descriptors import DOWN, UP
from sandbox.spec import WorkerAttestation

# Called with how many hundredths of a conversion are done: 1 to 100, each time more.
Tell = Callable[[int], None]
# Of a header, the inputs and, where somebody wants to hear it, whom to tell of progress.
Entry = Callable[[bytes, list[bytes], Tell | None], tuple[bytes, Sequence[wire.Buffer]]]
Touch = Callable[[], None]


class Hangup(Exception):
    """The host closed its end: there is nobody to serve."""


def become_worker(
    jail: Jail, entry: Entry, touch: Touch, pipes: tuple[int, int], zygote: int
) -> None:
    """Turn this freshly forked process into a worker, serve, and exit. Never returns."""
    status = wire.EXIT_FAILED
    try:
        descriptors.take_pipes(*pipes)
        status = _live(jail, entry, touch, zygote)
    except MemoryError:
        status = wire.EXIT_MEMORY
    except Hangup:
        status = wire.EXIT_DONE
    finally:
        # Whatever was raised, SystemExit included, ends here: a child that unwound into the
        # zygote's loop would be a second zygote.
        os._exit(status)


def _live(jail: Jail, entry: Entry, touch: Touch, zygote: int) -> int:
    try:
        privileges.die_with_parent(zygote)
        if jail.spec.program:
            privileges.lead_own_group()
        confine(jail, Where.WORKER)
        touch()
        ready = _attest(jail)
    except Exception as failure:  # noqa: BLE001 - whatever it is, the host hears it, and no log
        _send([wire.refused_frame(sentence(failure))])
        return wire.EXIT_REFUSED
    if jail.uses > 1:
        gc.enable()
    _send([ready])
    for left in reversed(range(jail.uses)):
        _serve(jail, entry, ready if left else b"")
    return wire.EXIT_DONE


def _attest(jail: Jail) -> bytes:
    """Return READY, with the layers that hold in this process."""
    layers = set(jail.active)
    if probe.successes(probe.QUICK):
        layers.discard("filter")
    return wire.ready_frame(msgspec.msgpack.encode(WorkerAttestation(tuple(sorted(layers)))))


def _serve(jail: Jail, entry: Entry, ready: bytes) -> None:
    """One use. `ready` goes with the answer, so that the next one finds it in the pipe."""
    request = wire.RequestReader(input_bytes_max=jail.spec.limits.input_bytes_max)
    while (wanted := request.wanted) is not None:
        received = os.readv(UP, [wanted])
        if not received:
            raise Hangup
        request.filled(received)
    tell = _tell if request.watched else None
    _send([*wire.reply_frames(*entry(request.header, request.inputs, tell)), ready])


def _tell(part: int) -> None:
    # All that can be said is less than a page, which a pipe always has room for: never waits.
    _send([wire.part_frame(part)])


def _send(frames: Iterable[wire.Buffer]) -> None:
    pieces = [memoryview(frame).cast("B") for frame in frames]
    while pieces:
        try:
            sent = os.writev(DOWN, pieces[: wire.PIECES_MAX])
        except BrokenPipeError:
            raise Hangup from None
        pieces = wire.unsent(pieces, sent)


def sentence(failure: BaseException) -> str:
    """Return one line about a failure from before any customer's byte was here."""
    if isinstance(failure, Refused):
        return str(failure)
    return f"{type(failure).__name__}: {failure}"
