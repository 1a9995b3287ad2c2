"""Refusing what is too much."""

from encoder_service.domain.errors import ImageInvalid


def check_count(count: int, most: int, what: str) -> None:
    """Raise ImageInvalid, which says `what` there is more of than `most`."""
    if count > most:
        raise ImageInvalid(f"the image has more than {most} {what}; save it anew to send it")
