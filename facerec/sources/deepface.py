"""What deepface records about its vectors: the model in a datastore's file name, and the photo of each."""

import re
from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import Final

from facerec.sources import spaces
from facerec.sources.errors import SourceRefused

_DATASTORE: Final = re.compile(
    r"ds_model_(?P<model>.+)_detector_(?P<detector>.+)_(?P<alignment>aligned|unaligned)"
    r"_normalization_(?P<normalization>.+)_expand_(?P<expand>\d{1,4})\.pkl"
)
_PHOTO_SUFFIXES: Final = frozenset({".jpg", ".jpeg", ".png"})
_MAX_REFERENCE_CHARACTERS: Final = 256
"""What the matcher takes as a face's reference."""
ENROLL: Final = "enroll its photos instead: facerec import FOLDER"


def datastore_space(name: str) -> str:
    """The space of the vectors in a datastore, by the file's name. Raises SourceRefused for another model."""
    found = _DATASTORE.fullmatch(name)
    if found is None:
        raise SourceRefused(
            "it is a datastore of deepface, and only its file's name says which model: name it as deepface "
            "did, ds_model_..._expand_0.pkl"
        )
    space = spaces.of_deepface(
        found["model"],
        found["detector"],
        aligned=found["alignment"] == "aligned",
        expand_percentage=int(found["expand"]),
    )
    if not space:
        raise SourceRefused(refusal(f"{found['model']} (detector {found['detector']})"))
    if found["normalization"] != "base":
        raise SourceRefused(
            f"its photos were normalized for {found['normalization']}, not for dlib's network: {ENROLL}"
        )
    return space


def refusal(models: str) -> str:
    """Why vectors of these models are not imported."""
    return f"its vectors are of {models}, and not of dlib's network: {ENROLL}"


class Photos:
    """The people of photos' names, as deepface records them.

    A name that is no path is the person's own. Of paths the common folder is left out: the first folder below
    it is the person, or the name of a photo that lies directly in it, without its suffix.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._common: tuple[str, ...] | None = None
        for name in names:
            self.add(name)

    def add(self, name: str) -> None:
        """Count a name in, before people are asked for."""
        folders = _parts(name)[:-1]
        if folders:
            known = folders if self._common is None else self._common
            pairs = enumerate(zip(known, folders, strict=False))
            differ = (index for index, (one, other) in pairs if one != other)
            self._common = known[: next(differ, min(len(known), len(folders)))]

    def person(self, name: str) -> str:
        """The person whose photo has this name."""
        parts = _parts(name)
        if len(parts) > 1:
            parts = parts[len(self._common or ()) :]
        if len(parts) > 1:
            return parts[0]
        photo = PurePosixPath(parts[0]) if parts else PurePosixPath(name)
        return photo.stem if photo.suffix.lower() in _PHOTO_SUFFIXES else name


def reference(name: str) -> str:
    """A photo's name as the reference of its face; "" where it is too long for one."""
    return name if len(name) <= _MAX_REFERENCE_CHARACTERS else ""


def _parts(name: str) -> tuple[str, ...]:
    return PurePosixPath(name.replace("\\", "/").lstrip("/")).parts
