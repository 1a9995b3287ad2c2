"""CompreFace's paths: the one table of them."""

import dataclasses
import re
from collections.abc import Callable, Coroutine
from typing import Any, Final

from facerec.gateway.compreface import examples, recognition, subjects, vectors
from facerec.gateway.compreface.asked import Asked
from facerec.gateway.compreface.calls import BY_NAME, Calls
from facerec.gateway.methods import Method

PREFIX: Final = "/api/v1/"
_ID: Final = "(?P<image_id>[^/]+)"

Handler = Callable[[Asked, Calls], Coroutine[Any, Any, Any]]


@dataclasses.dataclass(frozen=True)
class Route:
    """A path.

    Attributes:
        verb: The HTTP method.
        pattern: The path after PREFIX; its groups are variables.
        method: The method that does most of the work, under which the request is counted and logged.
        handler: Makes the answer's JSON.
        http_status: The status of the answer.
    """

    verb: str
    pattern: "re.Pattern[str]"
    method: Method
    handler: Handler
    http_status: int = 200


def _route(verb: str, pattern: str, name: str, handler: Handler, http_status: int = 200) -> Route:
    return Route(verb, re.compile(pattern), BY_NAME[name], handler, http_status)


ROUTES: Final = (
    _route("POST", "recognition/subjects/?", "UpdatePerson", subjects.add, 201),
    _route("GET", "recognition/subjects/?", "ListPersons", subjects.list_all),
    _route("DELETE", "recognition/subjects", "BatchDeletePersons", subjects.delete_all),
    # A name may have slashes, as nothing follows it. Without a name nobody is erased.
    _route("PUT", "recognition/subjects/(?P<subject>.*)", "RenamePerson", subjects.rename),
    _route("DELETE", "recognition/subjects/(?P<subject>.*)", "DeletePerson", subjects.delete),
    _route("POST", "recognition/faces/?", "Enroll", examples.add, 201),
    _route("GET", "recognition/faces/?", "ListFaces", examples.list_page),
    _route("DELETE", "recognition/faces", "BatchDeletePersons", examples.delete_all),
    _route("POST", "recognition/faces/delete/?", "DeleteFace", examples.delete_several),
    _route("DELETE", f"recognition/faces/{_ID}", "DeleteFace", examples.delete),
    _route("GET", f"recognition/faces/{_ID}/img", "GetFace", examples.image),
    _route("GET", f"static/(?P<api_key>[^/]+)/images/{_ID}", "GetFace", examples.image),
    _route("POST", f"recognition/faces/{_ID}/verify/?", "Compare", recognition.verify_example),
    _route("POST", "recognition/recognize/?", "Identify", recognition.recognize),
    _route("POST", "recognition/embeddings/recognize/?", "Identify", vectors.recognize),
    _route("POST", f"recognition/embeddings/faces/{_ID}/verify/?", "Compare", vectors.verify_example),
    _route("POST", "detection/detect/?", "DetectFaces", recognition.detect),
    _route("POST", "verification/verify/?", "Compare", recognition.verify_photos),
    _route("POST", "verification/embeddings/verify/?", "Compare", vectors.verify),
)


def find(verb: str, path: str) -> tuple[Route, dict[str, str]] | None:
    """The route of a request, by its path as it was sent, with the variables in it; None for none."""
    rest = path.removeprefix(PREFIX)
    for route in ROUTES:
        matched = route.pattern.fullmatch(rest) if route.verb == verb else None
        if matched:
            return route, matched.groupdict()
    return None
