"""The loaded model, and the space and provenance of its vectors."""

import dataclasses
import functools
import platform
from importlib import metadata
from typing import Final

import facerec
from encoder_service.domain.faces import Alignment, EncodeOptions
from encoder_service.embedding.network import CHIP_PIXELS
from encoder_service.pipeline.alignment import CHIP_PADDING
from encoder_service.pipeline.scanner import SearchSizes

_LIBRARIES: Final = ("onnxruntime", "onnxruntime-gpu", "dlib-bin", "pillow", "simplejpeg")


@dataclasses.dataclass(frozen=True)
class Model:
    """The loaded network: its name, its execution provider, and the settings that its vectors depend on."""

    name: str
    provider: str
    precision: str
    search_sizes: SearchSizes
    fallback_reason: str = ""
    """Why the CPU runs it where `auto` preferred a GPU; empty otherwise."""

    def space(self, alignment: Alignment) -> str:
        """The space of vectors of one alignment: network, alignment, chip's side x padding."""
        return f"{self.name}/{alignment}/{CHIP_PIXELS}x{CHIP_PADDING}"

    def fingerprint(self, options: EncodeOptions) -> str:
        """The provenance of vectors made with these options on this machine."""
        scaled = f"copy_{self.search_sizes.first_side}_{self.search_sizes.second_side}"
        profile = "full_resolution" if options.full_resolution else scaled
        detector = "boxes" if options.boxes else str(options.detector)
        parts = [self.precision, self.provider, *_versions(), platform.machine(), detector, profile]
        return ";".join(parts)


@functools.cache
def _versions() -> tuple[str, ...]:
    return tuple(f"{library}={version}" for library in _LIBRARIES if (version := _version(library)))


def _version(library: str) -> str:
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:  # ONNX Runtime for GPUs is another package
        return ""


def server_version() -> str:
    """The release of the service."""
    return facerec.__version__
