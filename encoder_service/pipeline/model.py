"""What a vector is of: the space it may be compared in, and what computed it."""

import dataclasses
import functools
import platform
from importlib import metadata
from typing import Final

from encoder_service.domain.faces import Alignment, EncodeOptions
from encoder_service.embedding.network import CHIP_PIXELS
from encoder_service.pipeline.alignment import CHIP_PADDING
from encoder_service.pipeline.scanner import Bounds

_LIBRARIES: Final = ("onnxruntime", "onnxruntime-gpu", "dlib-bin", "pillow", "simplejpeg")


@dataclasses.dataclass(frozen=True)
class Model:
    """The loaded network: its name, what runs it, and what its vectors came of beside the picture."""

    name: str
    provider: str
    precision: str
    bounds: Bounds
    provider_note: str = ""
    """Why it is not the provider that was hoped for."""

    def space(self, alignment: Alignment) -> str:
        """Name the space of vectors of one alignment: network, alignment, chip's side x padding."""
        return f"{self.name}/{alignment}/{CHIP_PIXELS}x{CHIP_PADDING}"

    def fingerprint(self, options: EncodeOptions) -> str:
        """Return the provenance of vectors made with these options on this machine."""
        copied = f"copy_{self.bounds.first_side}_{self.bounds.again_side}"
        profile = "full_resolution" if options.full_resolution else copied
        finder = "boxes" if options.boxes else str(options.detector)
        parts = [self.precision, self.provider, *_versions(), platform.machine(), finder, profile]
        return ";".join(parts)


@functools.cache
def _versions() -> tuple[str, ...]:
    return tuple(f"{library}={version}" for library in _LIBRARIES if (version := _version(library)))


def _version(library: str) -> str:
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:  # the GPU's ONNX Runtime goes by another name
        return ""


def server_version() -> str:
    """The release of the service."""
    return metadata.version("facerec")
