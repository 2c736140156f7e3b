"""A log line holds what is listed, and nothing else, whoever writes it."""

import io
import json
import logging
import warnings
from collections.abc import Iterator

import pytest
import structlog

from gateway import logs


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    before = structlog.get_config()
    logs.configure("info", "json", stream)
    yield stream
    structlog.configure(**before)
    logging.captureWarnings(False)
    logging.getLogger().handlers.clear()


def test_an_unlisted_field_is_dropped_and_counted(lines: io.StringIO) -> None:
    before = logs.dropped["filename"]
    structlog.get_logger().info("request", status=200, filename="secret.pdf")
    line = json.loads(lines.getvalue())
    assert line["status"] == 200
    assert "secret" not in lines.getvalue()
    assert logs.dropped["filename"] == before + 1


@pytest.mark.claim("C-LOG-1")
def test_an_exceptions_message_is_not_logged_but_its_place_is(lines: io.StringIO) -> None:
    try:
        int("contents of a letter")
    except ValueError as error:
        structlog.get_logger().error("unforeseen", exc_info=error)
    line = json.loads(lines.getvalue())
    assert line["error_type"] == "ValueError"
    assert line["exception"][0].startswith("test_logs.py:")
    assert "letter" not in lines.getvalue()


def test_a_librarys_record_keeps_its_logger_and_loses_its_message(lines: io.StringIO) -> None:
    logging.getLogger("aiohttp.server").error("GET /v1?password=hunter2")
    line = json.loads(lines.getvalue())
    assert line["logger"] == "aiohttp.server"
    assert "hunter2" not in lines.getvalue()


def test_a_python_warning_that_quotes_a_file_name_is_not_printed(lines: io.StringIO) -> None:
    warnings.warn('attachment; filename="divorce.pdf"', stacklevel=1)
    assert "divorce" not in lines.getvalue()
    assert json.loads(lines.getvalue())["logger"] == "py.warnings"


def test_below_the_level_nothing_is_written(lines: io.StringIO) -> None:
    structlog.get_logger().debug("request")
    assert lines.getvalue() == ""
