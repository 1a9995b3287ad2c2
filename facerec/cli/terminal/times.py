"""Times and durations as somebody at a terminal writes them: 2027-01-31, 2027-01-31T18:00+01:00, 30d."""

import datetime
import re

from facerec.cli.terminal.errors import Problem

_DURATION = re.compile(r"(\d{1,6})([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def duration(text: str, option: str) -> datetime.timedelta:
    """A length of time: a number of s, m (minutes), h, d or w, or 0. Raises Problem naming the option."""
    found = _DURATION.fullmatch(text.strip())
    if found:
        return datetime.timedelta(**{_UNITS[found[2]]: int(found[1])})
    if text.strip() == "0":
        return datetime.timedelta(0)
    raise Problem(f"{option} {text}: give a length of time such as 90m, 12h, 30d or 52w", "USAGE")


def time_to_come(text: str, option: str) -> datetime.datetime:
    """A time in the future, from now on or as ISO 8601, which is of this machine's zone unless it says.

    Raises Problem naming the option.
    """
    now = datetime.datetime.now(datetime.UTC)
    try:
        if _DURATION.fullmatch(text.strip()):
            time = now + duration(text, option)
        else:
            time = datetime.datetime.fromisoformat(text.strip()).astimezone(datetime.UTC)
    except (ValueError, OverflowError):
        raise Problem(
            f"{option} {text}: give a time such as 2027-01-31 or 2027-01-31T18:00, or a length of time such "
            "as 30d",
            "USAGE",
        ) from None
    if time <= now:
        raise Problem(f"{option} {text}: the time is past", "USAGE")
    return time


def shown(time: datetime.datetime) -> str:
    """A time as every command shows it, to the minute and in UTC."""
    return f"{time.astimezone(datetime.UTC):%Y-%m-%d %H:%M} UTC"


def brief(length: datetime.timedelta) -> str:
    """A length of time in the largest unit that holds it whole: 30d, or `for ever` for 0."""
    seconds = int(length.total_seconds())
    if not seconds:
        return "for ever"
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"
