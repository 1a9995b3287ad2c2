"""What a caller's rights leave of a request.

Yes and no alone give a stored vector away to whoever chooses the vectors that are compared with it: each
point where the answer changes is an equation about it. So vectors take a right, and whoever has it without
`scores` is answered only where failed tries are counted: about one person, or a key's enrolments. A stored
face that is named by its id may be one that somebody chose, or a copy of another's: it takes `scores`.
"""

from facerec.serving.middleware import call
from matcher_service.domain.errors import EncodingsNotPermitted, ScoresWithheld
from matcher_service.domain.faces import Photo, Probe


def check_encoding(field: str) -> None:
    """Raises EncodingsNotPermitted where the caller may not send the vector in this field."""
    if not call.may_send_encodings():
        raise EncodingsNotPermitted(
            "encodings are not for this caller: send the image, or have `encodings = true` put on its key",
            field=field,
        )


def check_search(field: str) -> None:
    """Raises ScoresWithheld where a face that somebody may have chosen would be compared without a count.

    A caller chose the vector that it sends, and whoever works with it may have stored the face that it names.
    """
    if not call.may_see_scores():
        raise ScoresWithheld(
            "this takes `scores`: have `scores = true` put on the key, or send the image",
            field=field,
        )


def chose_vector(probe: Probe) -> bool:
    """Whether it is a face that the caller may have chosen, and distances are not for them."""
    return not isinstance(probe.face, Photo) and not call.may_see_scores()
