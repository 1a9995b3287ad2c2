"""Which vectors the caller may have compared, by the permissions of its key.

Match or no match, answered for vectors of the caller's choice, leaks a stored template by hill climbing: each
point where the answer changes is an equation about it. So sending vectors requires `encodings`, and with it
but without `scores` a caller is answered only where failed tries are counted: about one person, or a key's
enrollments. A stored face named by its id may be one that the caller chose, or a copy of another's, so it
requires `scores`.
"""

from facerec.serving.middleware import call
from matcher_service.domain.errors import EncodingsNotPermitted, ScoresWithheld
from matcher_service.domain.faces import Photo, Probe


def check_encoding(field: str) -> None:
    """Raises EncodingsNotPermitted where the caller may not send the vector in this field."""
    if not call.may_send_encodings():
        raise EncodingsNotPermitted(
            "this key may not send encodings: send the image, or have `encodings = true` put on its key",
            field=field,
        )


def check_search(field: str) -> None:
    """Raises ScoresWithheld where a face that somebody may have chosen would be compared without a count.

    A caller chose the vector that it sends, and whoever works with it may have stored the face that it names.
    """
    if not call.may_see_scores():
        raise ScoresWithheld(
            "this requires `scores`: have `scores = true` put on the key, or send the image",
            field=field,
        )


def caller_controls_vector(probe: Probe) -> bool:
    """Whether it is a face that the caller may have chosen, and distances are not for them."""
    return not isinstance(probe.face, Photo) and not call.may_see_scores()
