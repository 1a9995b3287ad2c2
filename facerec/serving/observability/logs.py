"""Logs of either service: one event a line, to stderr."""

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
    """A renderer for terminals, to which callers' text brings no escape codes."""

    def render(logger: Any, name: str, event: structlog.typing.EventDict) -> Any:
        return renderer(logger, name, {printable(key): _shown(value) for key, value in event.items()})

    return render


def _shown(value: Any) -> Any:
    if isinstance(value, str):
        return printable(value)
    text = repr(value)  # as the renderer has it
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
    # Ours go straight to stderr: by way of the standard library a line takes several times as long.
    structlog.configure(
        processors=[_add_name, *shared, _render],
        logger_factory=_Lines,
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=False,  # a logger kept would write to where an earlier configuration did
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _render],
        )
    )
    handler.addFilter(_without_arguments)
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)


def describe(error: BaseException) -> dict[str, Any]:
    """What a log says of an exception: its `kind` and the `frames` it passed.

    The message stays out: a driver's quotes its arguments, which are vectors and ids.
    """
    stack = traceback.extract_tb(error.__traceback__)
    frames = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in stack]
    return {"kind": type(error).__qualname__, "frames": frames}


def _without_arguments(record: logging.LogRecord) -> bool:
    """Take out of gRPC's and asyncio's own records what a call brought.

    They quote headers that are no text, keys too, and exceptions with their arguments. Their text and the
    exception's type stay. Of such headers there is no line at all: whoever sends them would fill the log.
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


def write(logger: str, event: str, happened: Iterable[tuple[float, Mapping[str, Any]]]) -> None:
    """Write lines of past events in one go, as each would have been written then, at the level info.

    `happened` has the time of each, in seconds since 1970, and its values.
    """
    if not structlog.get_logger().is_enabled_for(logging.INFO):
        return
    lines = [
        _render(None, "info", {**values, "event": event, "logger": logger, **_at(time)})
        for time, values in happened
    ]
    if lines:
        _Lines().info("\n".join(map(str, lines)))


def _at(time: float) -> dict[str, str]:
    timestamp = datetime.datetime.fromtimestamp(time, datetime.UTC).isoformat(timespec="microseconds")
    return {"level": "info", "timestamp": timestamp.replace("+00:00", "Z")}


class _Lines(structlog.WriteLogger):
    """Writes lines to stderr, whole ones, and knows whose they are."""

    def __init__(self, name: str = "") -> None:
        super().__init__(sys.stderr)
        self.name = name


def _add_name(logger: _Lines, _: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    event["logger"] = logger.name
    return event


def _describe_exception(_: Any, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Of an exception that a library logs, put what we say of our own, and neither message nor variables."""
    given = event.pop("exc_info", None)
    error = given[1] if isinstance(given, tuple) else given
    if isinstance(error, BaseException):
        event.update(describe(error))
    return event


def _add_request_id(_: Any, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    present = call.current()
    if present:
        event["request_id"] = present.request_id
    return event
