"""What a vector is of: the space it may be compared in, and what computed it."""

import dataclasses
import platform
from importlib import metadata
from typing import Final

from encoder_service.alignment import CHIP_PADDING
from encoder_service.embedding import CHIP_PIXELS
from encoder_service.faces import Alignment

_LIBRARIES: Final = ("onnxruntime", "dlib-bin", "pillow", "simplejpeg")


@dataclasses.dataclass(frozen=True)
class Model:
    """The loaded network: its name, what runs it, and the fingerprint of its vectors."""

    name: str
    provider: str
    fingerprint: str

    def space(self, alignment: Alignment) -> str:
        """Name the space of vectors of one alignment: network, alignment, chip's side x padding."""
        return f"{self.name}/{alignment}/{CHIP_PIXELS}x{CHIP_PADDING}"


def describe(name: str, provider: str) -> Model:
    """Describe a network run in float32 by an ONNX Runtime execution provider on this machine."""
    versions = [f"{library}={metadata.version(library)}" for library in _LIBRARIES]
    parts = ["float32", provider, *versions, platform.machine(), "full_resolution"]
    return Model(name=name, provider=provider, fingerprint=";".join(parts))


def server_version() -> str:
    """The release of the service."""
    return metadata.version("facerec")
