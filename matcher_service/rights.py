"""What a caller's rights leave of a request.

Yes and no alone give a stored vector away to whoever chooses the vectors that are compared with it: each
point where the answer changes is an equation about it. So vectors take a right, and whoever has it without
`scores` is answered only where failed tries are counted: about one person, or a key's enrolments.
"""

from facerec.serving import call
from matcher_service.errors import EncodingsNotPermitted, ScoresWithheld
from matcher_service.faces import Photo, Probe


def check_encoding(field: str) -> None:
    """Raises EncodingsNotPermitted where the caller may not send the vector in this field."""
    if not call.may_send_encodings():
        raise EncodingsNotPermitted(
            "encodings are not for this caller: send the image, or have `encodings = true` put on its key",
            field=field,
        )


def check_search(field: str) -> None:
    """Raises ScoresWithheld where a face that the caller may have chosen would be compared without a count.

    It chose a vector that it sends, and it may have stored the face that it names, or faces that are listed.
    """
    if call.may_send_encodings() and not call.may_see_scores():
        raise ScoresWithheld(
            "whoever may send encodings has such answers only with `scores`: have `scores = true` put on the "
            "key, or use one without `encodings` and send images",
            field=field,
        )


def chose_vector(probe: Probe) -> bool:
    """Whether it is a face that the caller may have chosen, and distances are not for them."""
    return not isinstance(probe.face, Photo) and call.may_send_encodings() and not call.may_see_scores()
