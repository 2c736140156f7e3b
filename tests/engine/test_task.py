"""The engine's end inside the jail says nothing but its answer."""

import logging
import warnings
from collections.abc import Iterator

import pytest

from engine import task


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
    with task._silence():
        speak()
    assert (shown, caplog.records) == ([], [])


def test_a_library_that_speaks_up_is_silent_again_in_the_next_conversion(
    shown: list[warnings.WarningMessage], caplog: pytest.LogCaptureFixture
) -> None:
    task.silence()
    with task._silence():
        warnings.simplefilter("always")
        logging.disable(logging.NOTSET)
    with task._silence():
        speak()
    assert (shown, caplog.records) == ([], [])


def test_who_was_not_silent_speaks_again_afterwards(
    shown: list[warnings.WarningMessage], caplog: pytest.LogCaptureFixture
) -> None:
    with task._silence():
        pass
    speak()
    assert (len(shown), len(caplog.records)) == (1, 1)
