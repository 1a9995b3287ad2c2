"""The encoder over gRPC, as the matcher's domain sees one."""

import dataclasses
import time

from facerec import client
from facerec.client import AsyncEncoderClient
from facerec.errors import FacerecError, Reason
from matcher_service import deadline, metrics
from matcher_service.errors import EncoderUnavailable, ImageRefused, MatcherError, Overloaded
from matcher_service.faces import BoundingBox, EncodedFace, Encoding, Quality

RETRY_SECONDS = 1.0
IMAGE_REASONS = (Reason.IMAGE_INVALID, Reason.IMAGE_TOO_LARGE, Reason.IMAGE_UNSUPPORTED)


class EncoderClient:
    """An encoder at an address, asked on the running event loop; it may come and go.

    A call waits no longer than the matcher's own caller, and `timeout_seconds` at most.
    """

    def __init__(self, address: str, *, timeout_seconds: float) -> None:
        self._timeout_seconds = timeout_seconds
        self._client = AsyncEncoderClient(address)

    async def close(self) -> None:
        """Close the channel."""
        await self._client.close()

    async def encode(
        self, image: bytes, *, max_faces: int, field: str, min_face_pixels: int = 0
    ) -> list[EncodedFace]:
        """Return the faces of a picture, largest first, at most `max_faces` (0: all).

        Raises ImageRefused, Overloaded, EncoderUnavailable.
        """
        left_seconds = deadline.remaining_seconds(self._timeout_seconds)
        began = time.perf_counter()
        try:
            answer = await self._client.with_options(timeout_seconds=left_seconds).encode(
                image, max_faces=max_faces, min_face_pixels=min_face_pixels
            )
        except FacerecError as error:
            raise _ours(error, field) from error
        finally:
            metrics.ENCODER_SECONDS.observe(time.perf_counter() - began)
        return [_face(face) for face in answer.faces]


def _face(face: client.EncodedFace) -> EncodedFace:
    encoding, box = face.encoding, face.bounding_box
    return EncodedFace(
        Encoding(encoding.values, encoding.space, encoding.fingerprint),
        BoundingBox(box.top, box.right, box.bottom, box.left),
        Quality(**dataclasses.asdict(face.quality)),
    )


def _ours(error: FacerecError, field: str) -> MatcherError:
    if error.reason in IMAGE_REASONS:
        return ImageRefused(error.message, field=field, reason=error.reason)
    if error.reason is Reason.OVERLOADED:
        return Overloaded(
            "the encoder has more work than it takes; try again in a moment",
            retry_after_seconds=error.retry_after_seconds or RETRY_SECONDS,
        )
    return EncoderUnavailable(
        "the encoder cannot encode images now; try again in a moment, or send an encoding instead",
        retry_after_seconds=error.retry_after_seconds or RETRY_SECONDS,
    )
