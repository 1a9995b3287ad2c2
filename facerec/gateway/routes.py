"""The short paths of the main methods: the one table of them, which the OpenAPI document has too."""

import dataclasses
import re
from collections.abc import Mapping
from typing import Any, Final

from facerec.client.channel import ENCODER_SERVICE, MATCHER_SERVICE
from facerec.gateway.methods import METHODS, Method

_NONE: Final[Mapping[str, str]] = {}


@dataclasses.dataclass(frozen=True)
class Route:
    """A short path.

    Attributes:
        verb: The HTTP method.
        path: The path; `{person_id}` in it is that field of the request.
        method: The method that it calls.
        images: The names of the photos, each with the path of its field in the request.
        several: The names of those that may be given several times, with the path that they then have.
    """

    verb: str
    path: str
    method: Method
    images: Mapping[str, str] = dataclasses.field(default_factory=dict)
    several: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def match(self, path: str) -> dict[str, str] | None:
        """The fields that a path has; None if it is not this one."""
        pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", self.path)
        found = re.fullmatch(pattern, path)
        return found.groupdict() if found else None

    def names(self) -> list[str]:
        """The names that it takes: those of the photos, then those of the request's fields."""
        fields = self.method.request.DESCRIPTOR.fields_by_name
        return [*self.images, *(name for name in fields if name not in self.images)]


def _route(
    verb: str,
    path: str,
    service: str,
    name: str,
    images: Mapping[str, str] = _NONE,
    *,
    several: Mapping[str, str] = _NONE,
) -> Route:
    return Route(verb, path, METHODS[f"/{service}/{name}"], images, several)


ROUTES: Final = (
    _route("POST", "/v1/enroll", MATCHER_SERVICE, "Enroll", {"image": "items.probe.image"}),
    _route(
        "POST",
        "/v1/verify",
        MATCHER_SERVICE,
        "Verify",
        {"image": "probe.image"},
        several={"image": "probes.image"},
    ),
    _route("POST", "/v1/identify", MATCHER_SERVICE, "Identify", {"image": "probes.image"}),
    _route(
        "POST",
        "/v1/compare",
        MATCHER_SERVICE,
        "Compare",
        {"image_a": "probe_a.image", "image_b": "probe_b.image"},
    ),
    _route("POST", "/v1/encode", ENCODER_SERVICE, "Encode", {"image": "image"}),
    _route("POST", "/v1/detect", ENCODER_SERVICE, "DetectFaces", {"image": "image"}),
    _route("GET", "/v1/persons", MATCHER_SERVICE, "ListPersons"),
    _route("GET", "/v1/persons/{person_id}", MATCHER_SERVICE, "GetPerson"),
    _route("DELETE", "/v1/persons/{person_id}", MATCHER_SERVICE, "DeletePerson"),
)


def find(verb: str, path: str) -> tuple[Route | None, Any]:
    """The route of a request with the fields in its path; None with the verbs that its path takes."""
    verbs = []
    for route in ROUTES:
        fields = route.match(path)
        if fields is not None:
            if route.verb == verb:
                return route, fields
            verbs.append(route.verb)
    return None, verbs
