"""The short paths, as the contract's google.api.http annotations have them, and which of them take photos."""

import dataclasses
import functools
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from google.api import annotations_pb2, http_pb2
from google.protobuf import descriptor_pool

from facerec.gateway.methods import METHODS, Method

_NONE: Final[Mapping[str, str]] = {}
_FIELD: Final = re.compile(r"(\{\w+\})")

PHOTOS: Final[Mapping[str, Mapping[str, str]]] = {
    "Enroll": {"image": "items.probe.image"},
    "Verify": {"image": "probe.image"},
    "Identify": {"image": "probes.image"},
    "Compare": {"image_a": "probe_a.image", "image_b": "probe_b.image"},
    "Encode": {"image": "image"},
    "DetectFaces": {"image": "image"},
}
"""The names of a method's photos, each with the path of its field in the request: no annotation says that."""
SEVERAL_PHOTOS: Final[Mapping[str, Mapping[str, str]]] = {"Verify": {"image": "probes.image"}}
"""The names of those that may be given several times, with the path that they then have."""


@dataclasses.dataclass(frozen=True)
class Route:
    """A short path.

    Attributes:
        verb: The HTTP method.
        path: The path; `{person_id}` in it is that field of the request.
        method: The method that it calls.
        has_body: Whether the request is the body; else it is the query.
        images: The names of the photos, each with the path of its field in the request.
        several: The names of those that may be given several times, with the path that they then have.
    """

    verb: str
    path: str
    method: Method
    has_body: bool
    images: Mapping[str, str]
    several: Mapping[str, str]

    @functools.cached_property
    def _pattern(self) -> re.Pattern[str]:
        steps = (
            f"(?P<{step[1:-1]}>[^/]+)" if step.startswith("{") else re.escape(step)
            for step in _FIELD.split(self.path)
        )
        return re.compile("".join(steps))

    def match(self, path: str) -> dict[str, str] | None:
        """The fields that a path has; None if it is not this one."""
        found = self._pattern.fullmatch(path)
        return found.groupdict() if found else None

    def names(self) -> list[str]:
        """The names that it takes: those of the photos, then those of the request's fields."""
        fields = self.method.request.DESCRIPTOR.fields_by_name
        return [*self.images, *(name for name in fields if name not in self.images)]


def _routes(method: Method) -> Iterator[Route]:
    """The short paths of a method, by its annotation."""
    name = f"{method.service}.{method.name}"
    options = descriptor_pool.Default().FindMethodByName(name).GetOptions()
    if not options.HasExtension(annotations_pb2.http):
        return
    rule: http_pb2.HttpRule = options.Extensions[annotations_pb2.http]
    images, several = PHOTOS.get(method.name, _NONE), SEVERAL_PHOTOS.get(method.name, _NONE)
    for each in (rule, *rule.additional_bindings):
        verb = each.WhichOneof("pattern") or ""
        yield Route(verb.upper(), getattr(each, verb), method, bool(each.body), images, several)


ROUTES: Final = tuple(route for method in METHODS.values() for route in _routes(method))


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
