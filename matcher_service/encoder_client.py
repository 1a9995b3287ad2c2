"""A client of the encoder over gRPC that implements the domain's Encoder protocol."""

import asyncio
import hashlib
import time

import structlog

from facerec import client
from facerec.client import AsyncEncoderClient, Security
from facerec.client.security import PLAIN
from facerec.errors import FacerecError, Reason
from facerec.serving.auth import files
from facerec.serving.auth.files import WatchedFiles
from facerec.serving.middleware import call
from facerec.serving.observability import spans
from matcher_service import metrics
from matcher_service.admission import FairSemaphore, three_quarters_of
from matcher_service.domain.errors import (
    EncoderUnavailable,
    ImageRefused,
    MatcherError,
    OptionInvalid,
    Overloaded,
)
from matcher_service.domain.faces import BoundingBox, EncodedFace, Encoding
from matcher_service.domain.status import EncoderStatus, Queue

ENCODE = "facerec.encoder.v1.EncoderService/Encode"
RETRY_SECONDS = 1.0
STATUS_SECONDS = 2.0  # an encoder that is well answers in a millisecond
log = structlog.get_logger(__name__)
IMAGE_REASONS = (Reason.IMAGE_INVALID, Reason.IMAGE_TOO_LARGE, Reason.IMAGE_UNSUPPORTED)
ACCESS_DENIED_REASONS = (Reason.KEY_MISSING, Reason.KEY_UNKNOWN, Reason.NOT_PERMITTED, Reason.RATE_LIMITED)


class EncoderClient:
    """Sends images to the encoder at an address, on the running event loop.

    The encoder may be unavailable at times. A call waits no longer than the matcher's own caller, and at most
    `timeout_seconds`. At most `max_images` are sent at once, three quarters of them for one caller; each
    request carries a hash of its caller's name, so that the encoder can serve callers fairly. When the
    certificate files change and are valid, a new channel uses them; calls in flight finish on the old one.
    The constructor raises FacerecError OPTION_INVALID if the certificates cannot be used.
    """

    def __init__(
        self, address: str, *, timeout_seconds: float, security: Security = PLAIN, max_images: int
    ) -> None:
        self._images = FairSemaphore(
            max_images, wait_seconds=timeout_seconds / 2, kind="encoder", share=three_quarters_of(max_images)
        )
        self._timeout_seconds = timeout_seconds
        self._address = address
        self._files = WatchedFiles(
            security.files,
            lambda: AsyncEncoderClient(address, security=security),
            name="encoder_certificates",
        )
        self._checked_at = time.monotonic()
        self._closing: set[asyncio.Task[None]] = set()
        self._failure: Reason | None = None
        self._answered = 0.0  # when the encoder last answered
        # Replicas that share an encoder key name a caller by the same hash.
        self._hash_key = hashlib.sha256(security.api_key.encode()).digest()

    async def close(self) -> None:
        """Close the channel."""
        for task in self._closing:
            task.cancel()
        await self._files.value.close()

    def _reload_certificates(self) -> None:
        """Open a new channel if the certificate files changed; checked every POLL_SECONDS at most."""
        if time.monotonic() - self._checked_at < files.POLL_SECONDS:
            return
        self._checked_at = time.monotonic()
        old = self._files.value
        if self._files.reload_if_changed():
            closing = asyncio.create_task(self._close_later(old))
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)
            log.info("encoder_certificates_reloaded")

    async def _close_later(self, old: AsyncEncoderClient) -> None:
        try:
            await asyncio.sleep(self._timeout_seconds)
        finally:
            await old.close()

    async def encode(
        self, image: bytes, *, max_faces: int, field: str, min_face_pixels: int = 0
    ) -> list[EncodedFace]:
        """Return the faces of an image, largest first, at most `max_faces` (0: all).

        Raises ImageRefused, OptionInvalid, Overloaded, EncoderUnavailable.
        """
        async with self._images.permit():
            return await self._encode(
                image, max_faces=max_faces, field=field, min_face_pixels=min_face_pixels
            )

    def queue(self) -> Queue:
        """The limit of images that are sent at once."""
        return self._images.queue()

    async def status(self) -> EncoderStatus:
        """Ask the encoder what it is: within STATUS_SECONDS, and half of the current call's deadline."""
        timeout_seconds = max(0.01, call.remaining_seconds(2 * STATUS_SECONDS) / 2)
        try:
            self._reload_certificates()
            model = await self._files.value.with_options(
                timeout_seconds=timeout_seconds, request_id=call.request_id()
            ).get_model()
        except FacerecError as error:
            return EncoderStatus(False, problem=_matcher_error(error, "").message)
        return EncoderStatus(True, "", model.server_version, model.space, model.execution_provider)

    async def _encode(
        self, image: bytes, *, max_faces: int, field: str, min_face_pixels: int
    ) -> list[EncodedFace]:
        left_seconds = call.remaining_seconds(self._timeout_seconds)
        began = time.monotonic()
        try:
            self._reload_certificates()
            with spans.client_span(ENCODE, self._address):
                answer = await self._files.value.with_options(
                    timeout_seconds=left_seconds,
                    request_id=call.request_id(),
                    trace_parent=spans.parent(),
                    on_behalf_of=self._caller_hash(),
                ).encode(image, max_faces=max_faces, min_face_pixels=min_face_pixels)
        except FacerecError as error:
            if error.reason is Reason.DEADLINE_EXCEEDED and self._answered > began:
                raise _overloaded(RETRY_SECONDS) from error  # it answered other calls meanwhile
            translated = _matcher_error(error, field)
            if isinstance(translated, EncoderUnavailable):
                self._log_failure(error)
            else:
                self._answered = time.monotonic()
            raise translated from error
        finally:
            metrics.ENCODER_SECONDS.observe(time.monotonic() - began)
        self._answered = time.monotonic()
        if self._failure:
            self._failure = None
            log.info("encoder_recovered")
        return [_face(face, answer.image_width, answer.image_height) for face in answer.faces]

    def _caller_hash(self) -> str:
        """A hash that identifies the current caller and reveals nothing else; "" outside of a call."""
        key = call.share_key().encode()
        return hashlib.blake2b(key, key=self._hash_key, digest_size=16).hexdigest() if key else ""

    def _log_failure(self, error: FacerecError) -> None:
        """Log why the encoder fails, once for each reason."""
        if error.reason is not self._failure:
            self._failure = error.reason
            log.warning("encoder_failed", reason=error.reason.value, why=error.message)


def _face(face: client.EncodedFace, image_width: int, image_height: int) -> EncodedFace:
    encoding, box = face.encoding, face.bounding_box
    return EncodedFace(
        Encoding(encoding.values, encoding.space, encoding.fingerprint),
        BoundingBox(box.top, box.right, box.bottom, box.left, image_width, image_height),
        face.quality,
    )


def _matcher_error(error: FacerecError, field: str) -> MatcherError:
    if error.reason in IMAGE_REASONS:
        return ImageRefused(error.message, field=field, reason=error.reason)
    if error.reason is Reason.OPTION_INVALID:  # the only option that a caller chooses
        return OptionInvalid(error.message, field="min_face_pixels")
    if error.reason is Reason.OVERLOADED:
        return _overloaded(error.retry_after_seconds or RETRY_SECONDS)
    if error.reason in ACCESS_DENIED_REASONS:
        return EncoderUnavailable(
            f"the encoder denies this matcher access ({error.reason}): an operator must set "
            "MATCHER_ENCODER_API_KEY to a key of the encoder, or have the encoder accept the matcher's "
            "certificate",
            retry_after_seconds=error.retry_after_seconds or RETRY_SECONDS,
        )
    return EncoderUnavailable(
        "the encoder cannot encode images now; retry later, or send an encoding instead",
        retry_after_seconds=error.retry_after_seconds or RETRY_SECONDS,
    )


def _overloaded(retry_after_seconds: float) -> Overloaded:
    return Overloaded(
        "the encoder is overloaded; retry later",
        retry_after_seconds=retry_after_seconds,
    )
