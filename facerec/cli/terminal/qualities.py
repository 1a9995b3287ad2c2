"""A face's quality in words."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from facerec.client import Quality


def reason_text(quality: "Quality") -> str:
    """Why a face is of poor quality: blurred, too dark; "" for one of good quality."""
    return ", ".join(reason.lower().replace("_", " ") for reason in quality.reasons)


def quality_text(quality: "Quality | None") -> str:
    """The quality of a stored face: why it is poor, or good; "" where none is known."""
    return "" if quality is None else reason_text(quality) or "good"
