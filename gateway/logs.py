"""Structured log lines on standard error, through a list of the fields that may be written.

A field that is not in `FIELDS` is dropped and counted, whoever logged it and whatever it holds, so
that no content, file name, query or key reaches a log by accident: adding a field is a decision
that shows in this file.
"""

import logging
import sys
from collections import Counter
from collections.abc import Mapping, MutableMapping
from typing import Any, Final, TextIO

import structlog

FIELDS: Final[frozenset[str]] = frozenset(
    {
        # of every line
        "event", "level", "timestamp", "logger", "exception", "message",
        # of a request: the route's pattern, never the address; no query, no user agent
        "request_id", "method", "route", "status", "code", "duration_ms", "account_id", "key_id",
        "person_id",
        "bytes_in", "bytes_out", "stage", "remote_net",
        # of a conversion
        "converter", "source", "target", "credits", "reason", "worker", "conversion_id",
        # of the service's own life
        "family", "host", "port", "version", "isolation", "signal", "error", "error_type",
        "in_flight", "attempt", "migration", "pid", "seconds", "count", "refunded", "dropped",
        "layer", "gateway_id", "exit_status", "ledger",
        # of a mail: its kind, never its address
        "kind",
        # of an operator's order
        "action", "actor",
    }
)  # fmt: skip

OWN_PACKAGES: Final[frozenset[str]] = frozenset({"engine", "gateway", "ledger", "sandbox"})

# How often each unlisted field was dropped; a test reads it, and so may an operator's debugger.
dropped: Counter[str] = Counter()


def configure(level: str, style: str, stream: TextIO | None = None) -> None:
    """Set up structlog and route the standard library's loggers into it. Called once, at boot."""
    out = stream or sys.stderr
    renderer: structlog.typing.Processor
    if style == "text" or (style == "auto" and out.isatty()):
        renderer = structlog.dev.ConsoleRenderer(colors=out.isatty())
    else:
        renderer = structlog.processors.JSONRenderer()
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _traceback,
        allow_listed,
        renderer,
    ]
    structlog.configure(
        processors=shared,
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(out),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(handlers=[_Bridge()], level=logging.WARNING, force=True)
    for package in OWN_PACKAGES:
        logging.getLogger(package).setLevel(level.upper())
    # aiohttp warns about odd headers by quoting them, file names included.
    logging.captureWarnings(capture=True)


def allow_listed(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> Mapping[str, Any]:
    """Keep the listed fields, what happened first; drop and count the rest."""
    unlisted = event.keys() - FIELDS
    dropped.update(unlisted)
    first = {name: event[name] for name in ("timestamp", "level", "event") if name in event}
    return first | {name: event[name] for name in event if name not in unlisted}


def _traceback(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Where an exception was raised and its type, but not its message, which may quote input."""
    error = event.pop("exc_info", None)
    if error is True:
        error = sys.exc_info()[1]
    if isinstance(error, BaseException):
        event["error_type"] = type(error).__qualname__
        frames = []
        step = error.__traceback__
        while step is not None:
            code = step.tb_frame.f_code
            frames.append(f"{code.co_filename.rpartition('/')[2]}:{step.tb_lineno} {code.co_name}")
            step = step.tb_next
        event["exception"] = frames
    return event


class _Bridge(logging.Handler):
    """The standard library's log records: sentences of our own packages, no sentence of others.

    aiohttp and asyncio quote requests in theirs. Ours name accounts and keys by id, and say nothing
    of customers: a rule for whoever writes one.
    """

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        ours = record.name.partition(".")[0] in OWN_PACKAGES
        structlog.get_logger().log(
            record.levelno,
            "sentence" if ours else "library_log",
            message=record.getMessage() if ours else None,
            logger=record.name,
            exc_info=error,
        )
