"""The check of a count against its limit."""

from encoder_service.domain.errors import ImageInvalid


def check_count(count: int, limit: int, what: str) -> None:
    """Raise ImageInvalid, naming `what`, where `count` exceeds `limit`."""
    if count > limit:
        raise ImageInvalid(f"the image has more than {limit} {what}; open it in an editor and save it again")
