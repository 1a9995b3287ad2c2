"""An encoder's model and limits."""

import dataclasses
from typing import Self

from facerec.encoder import v1


@dataclasses.dataclass(frozen=True)
class Limits:
    """What an encoder accepts in one request.

    Attributes:
        max_image_bytes: The largest image file, in bytes.
        max_pixels: The largest width times height of an image, in pixels.
        max_request_bytes: The largest message, in bytes.
        image_formats: The formats accepted, in capitals, such as JPEG.
        max_hog_pixels: The most that the detector `hog` searches, after upsampling, in pixels.
        max_cnn_pixels: The same of the detector `cnn`.
        stream_window: How many images of one `encode_stream` the server works on at a time.
    """

    max_image_bytes: int
    max_pixels: int
    max_request_bytes: int
    image_formats: tuple[str, ...]
    max_hog_pixels: int
    max_cnn_pixels: int
    stream_window: int

    @classmethod
    def from_message(cls, message: v1.Limits) -> Self:
        """Read the contract's message."""
        return cls(
            message.max_image_bytes,
            message.max_pixels,
            message.max_request_bytes,
            tuple(message.image_formats),
            message.max_hog_pixels,
            message.max_cnn_pixels,
            message.stream_window,
        )


@dataclasses.dataclass(frozen=True)
class Model:
    """An encoder's model, options and limits.

    Attributes:
        name: The network's name.
        space: The space of encodings made with the server's default options.
        spaces: All spaces that the server can encode in, one for each alignment, its default first.
        fingerprint: The provenance of encodings made with the default options (see `Encoding`).
        dimensions: The length of an encoding: 128.
        detectors: The detectors offered, `hog` and `cnn`, the server's default first.
        alignments: The alignments offered, `small` and, where its operator allowed it, `large`, the server's
            default first.
        execution_provider: What runs the networks, as ONNX Runtime calls it.
        execution_note: Why the networks run on the CPU where a GPU was preferred; "" otherwise.
        full_resolution: The default of the option `full_resolution`.
        limits: What the server accepts in one request.
        server_version: The release of the service.
    """

    name: str
    space: str
    spaces: tuple[str, ...]
    fingerprint: str
    dimensions: int
    detectors: tuple[str, ...]
    alignments: tuple[str, ...]
    execution_provider: str
    execution_note: str
    full_resolution: bool
    limits: Limits
    server_version: str

    @classmethod
    def from_message(cls, message: v1.GetModelResponse) -> Self:
        """Read the contract's message."""
        return cls(
            name=message.name,
            space=message.space,
            spaces=tuple(message.spaces),
            fingerprint=message.fingerprint,
            dimensions=message.dimensions,
            detectors=tuple(_short_name(v1.Detector.Name(value)) for value in message.detectors),
            alignments=tuple(_short_name(v1.Alignment.Name(value)) for value in message.alignments),
            execution_provider=message.execution_provider,
            execution_note=message.execution_note,
            full_resolution=message.full_resolution,
            limits=Limits.from_message(message.limits),
            server_version=message.server_version,
        )


def _short_name(enum_name: str) -> str:
    return enum_name.split("_", 1)[1].lower()
