"""Clients of the encoder."""

from collections.abc import Sequence
from typing import Any, ClassVar, Literal, TypedDict, Unpack

from facerec.client.calls import AsyncClient, Call, Client, ask, ask_async
from facerec.client.channel import ENCODER_SERVICE
from facerec.client.faces import BoundingBox, DetectedImage, EncodedImage, Model
from facerec.encoder import v1

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
    request = v1.EncodeRequest(image=image, options=_message(options), face_boxes=boxes)
    return Call("Encode", request, EncodedImage.from_message)


def detect_faces(image: bytes, **options: Unpack[Options]) -> Call[DetectedImage]:
    """Find the faces of an image, with boxes and landmarks and no encodings. Raises as `encode` does."""
    request = v1.DetectFacesRequest(image=image, options=_message(options))
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


class EncoderClient(Client):
    """The encoder, blocking."""

    service = ENCODER_SERVICE
    stub: ClassVar[Any] = v1.EncoderServiceStub

    encode = ask(encode)
    detect_faces = ask(detect_faces)
    get_model = ask(get_model)


class AsyncEncoderClient(AsyncClient):
    """The encoder, on the running event loop."""

    service = ENCODER_SERVICE
    stub: ClassVar[Any] = v1.EncoderServiceStub

    encode = ask_async(encode)
    detect_faces = ask_async(detect_faces)
    get_model = ask_async(get_model)
