"""Structured logs of both services: one event a line, to stderr."""

import datetime
import json
import logging
import sys
import traceback
from collections.abc import Iterable, Mapping
from typing import Any, Literal

import structlog

from facerec.printable import printable
from facerec.serving.middleware import call

Level = Literal["debug", "info", "warning", "error"]
Format = Literal["auto", "console", "json"]
GRPC_CORE = "grpc._cython.cygrpc"


_to_json = json.JSONEncoder(default=repr).encode


def _json(logger: Any, name: str, event: structlog.typing.EventDict) -> str:
    del logger, name
    return _to_json(event)


def _text(renderer: structlog.typing.Processor) -> structlog.typing.Processor:
    """A renderer for terminals that escapes control characters in callers' text."""

    def render(logger: Any, name: str, event: structlog.typing.EventDict) -> Any:
        return renderer(logger, name, {printable(key): _printable(value) for key, value in event.items()})

    return render


def _printable(value: Any) -> Any:
    if isinstance(value, str):
        return printable(value)
    text = repr(value)  # as the renderer shows it
    shown = printable(text)
    return value if shown == text else shown


_render: structlog.typing.Processor = _json


def configure(level: Level, format: Format) -> None:
    """Send structlog's and the standard library's events to stderr as JSON or as text.

    `auto` writes text to a terminal and JSON anywhere else.
    """
    global _render  # noqa: PLW0603
    as_text = format == "console" or (format == "auto" and sys.stderr.isatty())
    _render = _text(structlog.dev.ConsoleRenderer()) if as_text else _json
    shared: list[structlog.typing.Processor] = [
        _add_request_id,
        _describe_exception,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    # Written to stderr directly: through the standard library a line takes several times as long.
    structlog.configure(
        processors=[_add_name, *shared, _render],
        logger_factory=_Lines,
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=False,  # a cached logger would keep the output of an earlier configuration
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _render],
        )
    )
    handler.addFilter(_remove_request_data)
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)


def describe(error: BaseException) -> dict[str, Any]:
    """The log fields of an exception: its class as `kind`, and the `frames` of its traceback.

    Its message is left out: a database driver's quotes arguments, which are vectors and ids.
    """
    stack = traceback.extract_tb(error.__traceback__)
    frames = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in stack]
    return {"kind": type(error).__qualname__, "frames": frames}


def _remove_request_data(record: logging.LogRecord) -> bool:
    """Remove request data from log records of gRPC and asyncio, but keep their text and the exception's type.

    These records quote invalid headers, which may be keys, and exceptions with their arguments. Records of
    invalid headers are dropped: any caller could fill the log with them.
    """
    if record.name == GRPC_CORE and str(record.msg).startswith("Invalid encoding"):
        return False
    if record.name.partition(".")[0] in ("grpc", "asyncio"):
        text = record.msg if isinstance(record.msg, str) else type(record.msg).__name__
        record.msg, _, _ = text.partition("\n")
        if record.exc_info and record.exc_info[0]:
            record.msg += f" ({record.exc_info[0].__name__})"
        record.args, record.exc_info, record.exc_text = (), None, None
    return True


def write(logger: str, event: str, events: Iterable[tuple[float, Mapping[str, Any]]]) -> None:
    """Write several past events at the level info in one write.

    `events` has the time of each, in seconds since 1970, and its fields.
    """
    if not structlog.get_logger().is_enabled_for(logging.INFO):
        return
    lines = [
        _render(None, "info", {**values, "event": event, "logger": logger, **_at(time)})
        for time, values in events
    ]
    if lines:
        _Lines().info("\n".join(map(str, lines)))


def _at(time: float) -> dict[str, str]:
    timestamp = datetime.datetime.fromtimestamp(time, datetime.UTC).isoformat(timespec="microseconds")
    return {"level": "info", "timestamp": timestamp.replace("+00:00", "Z")}


class _Lines(structlog.WriteLogger):
    """A structlog logger that writes whole lines to stderr and has a name."""

    def __init__(self, name: str = "") -> None:
        super().__init__(sys.stderr)
        self.name = name


def _add_name(logger: _Lines, _: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    event["logger"] = logger.name
    return event


def _describe_exception(_: Any, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Replace an exception that a library logs by `describe`, without its message and variables."""
    given = event.pop("exc_info", None)
    error = given[1] if isinstance(given, tuple) else given
    if isinstance(error, BaseException):
        event.update(describe(error))
    return event


def _add_request_id(_: Any, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    current_call = call.current()
    if current_call:
        event["request_id"] = current_call.request_id
    return event
