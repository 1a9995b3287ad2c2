"""Parses and formats times and durations such as 2027-01-31, 2027-01-31T18:00+01:00 and 30d."""

import datetime
import re

from facerec.cli.terminal.errors import Problem

_DURATION = re.compile(r"(\d{1,6})([smhdw])")
_STORED = re.compile(r"(?:(\d+) days?, )?(\d+):(\d\d):(\d\d)")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def parse_duration(text: str, option: str) -> datetime.timedelta:
    """A duration: 0, or a number with unit s, m (minutes), h, d or w. Raises Problem naming the option."""
    found = _DURATION.fullmatch(text.strip())
    if found:
        return datetime.timedelta(**{_UNITS[found[2]]: int(found[1])})
    if text.strip() == "0":
        return datetime.timedelta(0)
    raise Problem(f"{option} {text}: give a duration such as 90m, 12h, 30d or 52w", "USAGE")


def future_time(text: str, option: str) -> datetime.datetime:
    """A time in the future: a duration from now, or ISO 8601, in this machine's time zone unless it has one.

    Raises Problem naming the option.
    """
    now = datetime.datetime.now(datetime.UTC)
    try:
        if _DURATION.fullmatch(text.strip()):
            time = now + parse_duration(text, option)
        else:
            time = datetime.datetime.fromisoformat(text.strip()).astimezone(datetime.UTC)
    except (ValueError, OverflowError):
        raise Problem(
            f"{option} {text}: give a time such as 2027-01-31 or 2027-01-31T18:00, or a duration such as 30d",
            "USAGE",
        ) from None
    if time <= now:
        raise Problem(f"{option} {text}: the time is in the past", "USAGE")
    return time


def format_time(time: datetime.datetime) -> str:
    """A time to the minute, in UTC."""
    return f"{time.astimezone(datetime.UTC):%Y-%m-%d %H:%M} UTC"


def format_duration(length: datetime.timedelta) -> str:
    """A duration in the largest unit in which it is a whole number, such as 30d or 52w; `for ever` for 0."""
    seconds = int(length.total_seconds())
    if not seconds:
        return "for ever"
    for unit, size in (("w", 604800), ("d", 86400), ("h", 3600), ("m", 60)):
        if seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def shorten_durations(text: str) -> str:
    """A text with its durations in the audit's form (`364 days, 0:00:00`) in that of `format_duration`."""
    return _STORED.sub(_shortened, text)


def _shortened(found: re.Match[str]) -> str:
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return format_duration(datetime.timedelta(days, hours=hours, minutes=minutes, seconds=seconds))
