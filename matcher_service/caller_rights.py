"""Which vectors the caller may have compared, by the permissions of its key.

Answering match or no match for vectors of the caller's choice leaks a stored template by hill climbing: each
point where the answer changes is an equation about the template. So sending vectors requires `encodings`. A
caller with `encodings` but without `scores` is answered only where failed tries are counted: by Verify, and
for the duplicates of its own enrollments. A stored face named by its id may be one that the caller chose, or
a copy of another person's, so it requires `scores`. Several photos of one face are compared as their mean
(identification/fusion.py), which the caller chose among many: without `scores` too only where failed tries
are counted.

A key may be limited to people with some labels: for its caller, others are as if they were not enrolled.
"""

from facerec.serving.middleware import call
from matcher_service.domain.attributes import PersonFilter
from matcher_service.domain.errors import EncodingsNotPermitted, ScoresWithheld
from matcher_service.domain.faces import Photo, Probe


def check_may_send_encoding(field: str) -> None:
    """Raises EncodingsNotPermitted if the caller may not send the encoding in this field."""
    if not call.may_send_encodings():
        raise EncodingsNotPermitted(
            "this key lacks the right `encodings`, which sending an encoding requires: send the image, or "
            "have `encodings = true` set on the key",
            field=field,
        )


def check_may_search_by_vector(field: str) -> None:
    """Raises ScoresWithheld if a vector of the caller's choice may not be compared without counting tries.

    A caller chose the encoding that it sends, and may have enrolled the stored face that it names for this.
    """
    if not call.may_see_scores():
        raise ScoresWithheld(
            "this key lacks the right `scores`, which comparing an encoding or a stored face requires: send "
            "the image, or have `scores = true` set on the key",
            field=field,
        )


def check_may_see_scores(field: str) -> None:
    """Raises ScoresWithheld if the caller may not see distances, and so may not limit or measure them."""
    if not call.may_see_scores():
        raise ScoresWithheld(
            "this key lacks the right `scores`, which seeing, measuring or limiting distances requires: "
            "leave it out, or have `scores = true` set on the key",
            field=field,
        )


def check_may_name_face(field: str) -> None:
    """Raises ScoresWithheld if a stored face named by its id may be of a person the caller may not find."""
    if call.caller_labels():
        raise ScoresWithheld(
            "this key is limited to people with its labels, and a stored face may be of others: send the "
            "image or the encoding",
            field=field,
        )


def check_may_search_by_mean(field: str) -> None:
    """Raises ScoresWithheld if the mean of several photos may not be compared without counting tries.

    Means of ordinary photos can be moved along any line in small steps, as vectors can.
    """
    if not call.may_see_scores():
        raise ScoresWithheld(
            "this key lacks the right `scores`, which a search among many people by several photos requires: "
            "send one photo, choose few people by `filter`, or have `scores = true` set on the key",
            field=field,
        )


def findable(chosen: PersonFilter) -> PersonFilter:
    """The people of a filter whom the caller may find, by the labels of its key."""
    labels = dict(chosen.labels)
    for key, values in call.caller_labels().items():
        labels[key] = tuple(value for value in labels.get(key, values) if value in values)
    return PersonFilter(labels, chosen.person_ids)


def allows_hill_climbing(probe: Probe) -> bool:
    """Whether unlimited answers about the probe would leak a stored template: the caller may have chosen its
    vector, and may not see distances.
    """
    return not isinstance(probe.face, Photo) and not call.may_see_scores()
