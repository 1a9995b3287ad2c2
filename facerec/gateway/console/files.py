"""The files of the console's pages, read once when the gateway starts."""

import dataclasses
import hashlib
from collections.abc import Mapping
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Final

_TYPES: Final = {
    "html": b"text/html; charset=utf-8",
    "js": b"text/javascript; charset=utf-8",
    "css": b"text/css; charset=utf-8",
    "json": b"application/json",
    "svg": b"image/svg+xml",
    "png": b"image/png",
    "woff2": b"font/woff2",
}
_INDEX: Final = "index.html"


@dataclasses.dataclass(frozen=True)
class File:
    """A file: its bytes, the value of Content-Type, and its ETag, which is a hash of the bytes."""

    content: bytes
    content_type: bytes
    etag: str


def read_files() -> Mapping[bytes, File]:
    """The files by their paths below `/console/`; the empty path is that of index.html.

    No other path names a file: a request's path is looked up as it was sent, and none is ever opened for a
    request. Raises KeyError for a file whose content type is not known.
    """
    root = resources.files(__package__).joinpath("static")
    found = {path.encode("ascii"): _file(path, each.read_bytes()) for path, each in _walk(root, "")}
    return {b"": found[_INDEX.encode()], **found}


def _walk(folder: Traversable, prefix: str) -> list[tuple[str, Traversable]]:
    found = []
    for each in folder.iterdir():
        path = f"{prefix}{each.name}"
        found += _walk(each, f"{path}/") if each.is_dir() else [(path, each)]
    return found


def _file(path: str, content: bytes) -> File:
    etag = hashlib.sha256(content).hexdigest()[:32]
    return File(content, _TYPES[path.rpartition(".")[2]], f'"{etag}"')


def is_current(file: File, if_none_match: str) -> bool:
    """Whether a browser that sends this If-None-Match has the file already."""
    tags = [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]
    return file.etag in tags or tags == ["*"]
