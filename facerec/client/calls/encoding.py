"""Calls of the encoder: faces and encodings of images."""

from collections.abc import Sequence
from typing import Any, Literal, TypedDict, Unpack

from facerec.client.probes import image_bytes
from facerec.client.results.callers import Caller
from facerec.client.results.faces import BoundingBox, DetectedImage, EncodedImage
from facerec.client.results.models import Model
from facerec.client.rpc import Call
from facerec.encoder import v1

DetectorName = Literal["hog", "cnn"]
AlignmentName = Literal["small", "large"]


class Options(TypedDict, total=False):
    """How faces are found and encoded. Options left out are the server's defaults.

    Attributes:
        detector: The face detector: `hog`, or `cnn`, which finds more and costs several times as much on a
            CPU. Default: `hog` on a CPU, `cnn` on a GPU.
        max_faces: How many faces are kept, the largest first, 0 to 1000. Default: 0, all of them.
        upsample: How often the image is enlarged by two for the detector to find smaller faces, 0 to 2;
            without `full_resolution` how often at most. Default: 1.
        min_face_pixels: Leaves out faces whose box has a shorter side below this, in pixels of the upright
            image, 0 to 65535; smaller values cost more. Default: 0, faces larger than about a ninth of
            the image's longer side, and smaller ones where there are none.
        full_resolution: Searches every pixel and crops faces at full resolution, which with `hog` and
            `upsample=1` gives the vectors of `face_recognition.face_encodings`. Without it a scaled copy is
            searched, which costs less. Default: False.
        alignment: The landmarks by which a face is turned upright, which are part of the encoding's space:
            `small` (5 points) or, where the server offers it, `large` (68). Default: `small`.
        return_landmarks: Whether the landmarks are answered. Default: False.
    """

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
    """Find the faces of an image and encode each.

    Args:
        image: The bytes of an image file: JPEG, PNG, WebP, BMP, GIF (its first frame) or TIFF (its first
            page).
        face_boxes: Boxes to encode instead of detecting faces, 1,000 at most, in pixels of the upright image;
            each overlaps the image. Default: none, and faces are detected.
        detector: `hog` or `cnn`; not together with `face_boxes`. Default: the server's, `hog` on a CPU.
        max_faces: How many faces are kept, the largest first, 0 to 1000. Default: 0, all of them.
        upsample: How often the image is enlarged by two to find smaller faces, 0 to 2. Default: 1.
        min_face_pixels: The least shorter side of a face's box, in pixels of the upright image, 0 to 65535.
            Default: 0, faces larger than about a ninth of the longer side, and smaller ones if none is found.
        full_resolution: Whether every pixel is searched and used, as `face_recognition` does. Default: False,
            unless the server's operator chose otherwise.
        alignment: `small` or `large`, where the server offers it; decides the encoding's space. Default:
            `small`.
        return_landmarks: Whether each face has its landmarks. Default: False.

    Returns:
        The faces with their encodings, of float32 and shape (128,), and the image's size. An image without a
        face has none; that is not an error.

    Raises:
        FacerecError: IMAGE_INVALID (empty, truncated, or not an image), IMAGE_TOO_LARGE (beyond
            `get_model().limits`), IMAGE_UNSUPPORTED (a format or depth that is not accepted), OPTION_INVALID
            (an option or a box out of range, or not offered).

    Example:
        >>> image = encoder.encode(photo, max_faces=1)
        >>> image.faces[0].encoding.values.shape
        (128,)
        >>> encoder.encode(photo, face_boxes=[image.faces[0].bounding_box]).faces[0].detection_score is None
        True
    """
    boxes = [box.to_message() for box in face_boxes]
    request = v1.EncodeRequest(
        image=image_bytes(image, "image"), options=options_message(options), face_boxes=boxes
    )
    return Call("Encode", request, EncodedImage.from_message)


def detect_faces(image: bytes, **options: Unpack[Options]) -> Call[DetectedImage]:
    """Find the faces of an image, with boxes, landmarks and quality, and without encodings.

    Args:
        image: The bytes of an image file, as for `encode`.
        detector: `hog` or `cnn`. Default: the server's, `hog` on a CPU.
        max_faces: How many faces are kept, the largest first, 0 to 1000. Default: 0, all of them.
        upsample: How often the image is enlarged by two to find smaller faces, 0 to 2. Default: 1.
        min_face_pixels: The least shorter side of a face's box, in pixels of the upright image, 0 to 65535.
            Default: 0, faces larger than about a ninth of the longer side, and smaller ones if none is found.
        full_resolution: Whether every pixel is searched. Default: False, unless the server's operator chose
            otherwise.
        alignment: Which landmarks each face has: `small` (5 points) or `large` (68), where the server offers
            it. Default: `small`.
        return_landmarks: Makes no difference here: each face has its landmarks.

    Returns:
        The faces, the largest first, and the image's size.

    Raises:
        FacerecError: IMAGE_INVALID (empty, truncated, or not an image), IMAGE_TOO_LARGE (beyond
            `get_model().limits`), IMAGE_UNSUPPORTED (a format or depth that is not accepted), OPTION_INVALID
            (an option out of range, or not offered).

    Example:
        >>> face = encoder.detect_faces(photo).faces[0]
        >>> face.bounding_box.bottom > face.bounding_box.top, len(face.landmarks)
        (True, 5)
    """
    request = v1.DetectFacesRequest(image=image_bytes(image, "image"), options=options_message(options))
    return Call("DetectFaces", request, DetectedImage.from_message)


def get_model() -> Call[Model]:
    """Read the server's model and limits.

    Returns:
        The network, the space of its encodings, its detectors and alignments, and its limits.

    Raises:
        FacerecError: Only what any call may raise.

    Example:
        >>> encoder.get_model().space
        'dlib-resnet-v1/small/150x0.25'
    """
    return Call("GetModel", v1.GetModelRequest(), Model.from_message)


def get_caller() -> Call[Caller]:
    """Read what the client's key or certificate may do at the encoder, whose keys may not be the matcher's.

    Returns:
        The caller: its roles, and when its key ends.

    Raises:
        FacerecError: Only what any call may raise.

    Example:
        >>> "encode" in encoder.get_caller().roles
        True
    """
    return Call("GetCaller", v1.GetCallerRequest(), Caller.from_message)


def options_message(options: Options) -> v1.EncodeOptions:
    """The contract's message for options. Raises TypeError and ValueError."""
    fields: dict[str, Any] = dict(options)
    for name in ("detector", "alignment"):
        if name in fields:  # an enum's field takes its value's name
            fields[name] = f"{name}_{fields[name]}".upper()
    return v1.EncodeOptions(**fields)
