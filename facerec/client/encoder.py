"""Clients of the encoder."""

from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Sequence
from typing import Any, ClassVar, Literal, TypedDict, Unpack

from facerec.client.calls import AsyncClient, Call, Client, ask, ask_async
from facerec.client.channel import ENCODER_SERVICE
from facerec.client.faces import BoundingBox, DetectedImage, EncodedImage, Model
from facerec.client.probes import image_bytes
from facerec.client.sending import AsyncRequests, Requests
from facerec.encoder import v1
from facerec.errors import FacerecError, Reason

Outcome = tuple[str, EncodedImage | FacerecError]
"""An image's id and its faces, or why it failed."""

DetectorName = Literal["hog", "cnn"]
AlignmentName = Literal["small", "large"]


class Options(TypedDict, total=False):
    """How faces are found and encoded; one left out is the server's. Ranges are in the contract."""

    detector: DetectorName
    max_faces: int
    upsample: int
    min_face_pixels: int
    full_resolution: bool
    alignment: AlignmentName
    return_landmarks: bool


def encode(
    image: bytes, *, face_boxes: Sequence[BoundingBox] = (), **options: Unpack[Options]
) -> Call[EncodedImage]:
    """Find the faces of an image (the bytes of its file) and encode each.

    `face_boxes` are encoded, in their order, instead of detecting. Raises FacerecError: IMAGE_INVALID,
    IMAGE_TOO_LARGE, IMAGE_UNSUPPORTED, OPTION_INVALID, OVERLOADED, MODEL_UNAVAILABLE, UNREACHABLE,
    DEADLINE_EXCEEDED.
    """
    boxes = [box.to_message() for box in face_boxes]
    request = v1.EncodeRequest(image=image_bytes(image, "image"), options=_message(options), face_boxes=boxes)
    return Call("Encode", request, EncodedImage.from_message)


def detect_faces(image: bytes, **options: Unpack[Options]) -> Call[DetectedImage]:
    """Find the faces of an image, with boxes and landmarks and no encodings. Raises as `encode` does."""
    request = v1.DetectFacesRequest(image=image_bytes(image, "image"), options=_message(options))
    return Call("DetectFaces", request, DetectedImage.from_message)


def get_model() -> Call[Model]:
    """Ask what the server computes and accepts. Raises FacerecError: UNREACHABLE, DEADLINE_EXCEEDED."""
    return Call("GetModel", v1.GetModelRequest(), Model.from_message)


def _message(options: Options) -> v1.EncodeOptions:
    fields: dict[str, Any] = dict(options)
    for name in ("detector", "alignment"):
        if name in fields:  # an enum's field takes its value's name
            fields[name] = f"{name}_{fields[name]}".upper()
    return v1.EncodeOptions(**fields)


def _item(item_id: str, image: bytes, options: v1.EncodeOptions) -> v1.EncodeStreamRequest:
    request = v1.EncodeRequest(image=image_bytes(image, "request.image"), options=options)
    return v1.EncodeStreamRequest(item_id=item_id, request=request)


def _outcome(answer: v1.EncodeStreamResponse) -> Outcome:
    if answer.HasField("response"):
        return answer.item_id, EncodedImage.from_message(answer.response)
    error = answer.error
    retry = error.retry_after_seconds if error.HasField("retry_after_seconds") else None
    reason = Reason(error.reason) if error.reason in Reason.__members__ else Reason.INTERNAL
    failed = FacerecError(error.message, field=error.field, retry_after_seconds=retry, reason=reason)
    return answer.item_id, failed


class EncoderClient(Client):
    """The encoder, blocking."""

    service = ENCODER_SERVICE
    stub: ClassVar[Any] = v1.EncoderServiceStub

    def encode_stream(
        self, images: Iterable[tuple[str, bytes]], **options: Unpack[Options]
    ) -> Iterator[Outcome]:
        """Encode many images, each under an id of yours, over one call without a deadline.

        Yields each id with its EncodedImage, or with the FacerecError it failed with, as they finish.
        Raises FacerecError where the call itself fails, and what `images` raises.
        """
        message = _message(options)
        requests = Requests(_item(item_id, image, message) for item_id, image in images)
        call = self._stub.EncodeStream(requests, metadata=self._metadata)
        with requests.sent_by(call, self.address):
            yield from map(_outcome, call)

    encode = ask(encode)
    detect_faces = ask(detect_faces)
    get_model = ask(get_model)


class AsyncEncoderClient(AsyncClient):
    """The encoder, on the running event loop."""

    service = ENCODER_SERVICE
    stub: ClassVar[Any] = v1.EncoderServiceStub

    async def encode_stream(
        self, images: AsyncIterable[tuple[str, bytes]], **options: Unpack[Options]
    ) -> AsyncIterator[Outcome]:
        """Encode many images, each under an id of yours, over one call without a deadline.

        Yields each id with its EncodedImage, or with the FacerecError it failed with, as they finish.
        Raises FacerecError where the call itself fails, and what `images` raises.
        """
        message = _message(options)
        requests = AsyncRequests(_item(item_id, image, message) async for item_id, image in images)
        call = self._stub.EncodeStream(requests, metadata=self._metadata)
        with requests.sent_by(call, self.address):
            async for answer in call:
                yield _outcome(answer)

    encode = ask_async(encode)
    detect_faces = ask_async(detect_faces)
    get_model = ask_async(get_model)
