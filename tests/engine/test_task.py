"""The engine's end inside the jail says nothing but its answer."""

import logging
import warnings
from collections.abc import Iterator

import msgspec
import pytest

from engine import task
from engine.converter import Work
from engine.converters.image.convert import convert
from engine.converters.raster.options import ImageOptions
from engine.job import Bounds, Buffer, TaskReply, TaskRequest
from engine.registry import FAMILIES
from tests.engine.calls import sample


@pytest.fixture
def shown() -> Iterator[list[warnings.WarningMessage]]:
    """The warnings that are shown; the process speaks again afterwards."""
    level = logging.root.manager.disable
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        yield shown
    logging.disable(level)


def speak() -> None:
    warnings.warn("customer.pdf is odd", stacklevel=1)
    logging.getLogger("a library").critical("customer.pdf is odd")


@pytest.mark.parametrize("for_good", [False, True])
def test_nothing_is_said_of_a_file_while_it_is_converted(
    shown: list[warnings.WarningMessage], caplog: pytest.LogCaptureFixture, *, for_good: bool
) -> None:
    if for_good:
        task.silence()
    with task.Silence():
        speak()
    assert (shown, caplog.records) == ([], [])


def test_a_library_that_speaks_up_is_silent_again_in_the_next_conversion(
    shown: list[warnings.WarningMessage], caplog: pytest.LogCaptureFixture
) -> None:
    task.silence()
    with task.Silence():
        warnings.simplefilter("always")
        logging.disable(logging.NOTSET)
    with task.Silence():
        speak()
    assert (shown, caplog.records) == ([], [])


def test_who_was_not_silent_speaks_again_afterwards(
    shown: list[warnings.WarningMessage], caplog: pytest.LogCaptureFixture
) -> None:
    with task.Silence():
        pass
    speak()
    assert (len(shown), len(caplog.records)) == (1, 1)


@pytest.mark.parametrize("family", ["image", "pdf", "data", "media", "archive", "photo", "misc"])
def test_what_a_spare_plays_is_a_conversion_that_succeeds(family: str) -> None:
    (warm,) = (one.warm for one in FAMILIES if one.name == family)
    rehearsals = task._resolve(warm)()
    answers: list[tuple[TaskReply, int]] = []

    def heard(header: bytes, inputs: list[bytes]) -> tuple[bytes, list[Buffer]]:
        answer, files = task.handle(header, inputs)
        answers.append((msgspec.msgpack.decode(answer, type=TaskReply), len(files)))
        return answer, files

    for rehearsal in rehearsals:
        rehearsal.play(heard)
    assert answers
    assert [(reply.error, files) for reply, files in answers] == [("", 1)] * len(answers)


def test_nobody_but_the_decoder_holds_an_upload() -> None:
    inputs = [sample("photo.jpg")]
    request = TaskRequest(
        converter="image.convert", sources=("jpeg",), target="jpeg", options={}, bounds=Bounds()
    )
    task.handle(msgspec.msgpack.encode(request), inputs)
    work = Work(
        sources=("jpeg",),
        target="jpeg",
        inputs=(sample("photo.jpg"),),
        options=ImageOptions(),
        bounds=Bounds(),
    )
    convert(work)
    assert (inputs, work.inputs) == ([], ())
