"""Checks requests against the contract and converts them to the encoder's domain types."""

from collections.abc import Collection, Iterable
from typing import Final

from encoder_service.domain.errors import IdInvalid, ImageInvalid, OptionInvalid
from encoder_service.domain.faces import MAX_FACES, Alignment, BoundingBox, DetectorName, EncodeOptions
from facerec.contract import MAX_FACE_PIXELS
from facerec.encoder.v1 import encoder_pb2 as pb

MAX_ITEM_ID: Final = 128
MAX_UPSAMPLE: Final = 2
_MIN_EDGE: Final = -65_536
_MAX_NEAR_EDGE: Final = 65_535
_MAX_FAR_EDGE: Final = 131_071

_ALIGNMENTS: Final = {
    pb.ALIGNMENT_UNSPECIFIED: Alignment.SMALL,
    pb.ALIGNMENT_SMALL: Alignment.SMALL,
    pb.ALIGNMENT_LARGE: Alignment.LARGE,
}
_DETECTORS: Final = {pb.DETECTOR_HOG: DetectorName.HOG, pb.DETECTOR_CNN: DetectorName.CNN}


def item(message: pb.EncodeStreamRequest) -> pb.EncodeRequest:
    """The request in an item of a stream. Raises IdInvalid, ImageInvalid."""
    if not 1 <= len(message.item_id) <= MAX_ITEM_ID:
        raise IdInvalid(
            f"item_id has {len(message.item_id)} characters; it must be 1 to {MAX_ITEM_ID}", field="item_id"
        )
    if not message.HasField("request"):
        raise ImageInvalid("the item has no request")
    return message.request


def encode_options(
    request: pb.EncodeRequest, defaults: EncodeOptions, alignments: Collection[Alignment]
) -> EncodeOptions:
    """Read the options and boxes of an Encode; `alignments` are those offered. Raises OptionInvalid."""
    options = request.options
    if not request.face_boxes:
        return _options(options, defaults, alignments, boxes=())
    if len(request.face_boxes) > MAX_FACES:
        raise OptionInvalid(
            f"{len(request.face_boxes)} boxes were given; at most {MAX_FACES} are accepted",
            field="face_boxes",
        )
    if options.detector:
        message = "face_boxes and a detector exclude each other: leave one of them out"
        raise OptionInvalid(message, field="options.detector")
    return _options(options, defaults, alignments, boxes=_boxes(request.face_boxes))


def detect_options(
    request: pb.DetectFacesRequest, defaults: EncodeOptions, alignments: Collection[Alignment]
) -> EncodeOptions:
    """Read the options of a DetectFaces; `alignments` are those offered. Raises OptionInvalid."""
    return _options(request.options, defaults, alignments, boxes=())


def _options(
    options: pb.EncodeOptions,
    defaults: EncodeOptions,
    alignments: Collection[Alignment],
    *,
    boxes: tuple[BoundingBox, ...],
) -> EncodeOptions:
    if options.detector and options.detector not in _DETECTORS:
        raise OptionInvalid("detector must be DETECTOR_HOG or DETECTOR_CNN", field="options.detector")
    alignment = _alignment(options.alignment, alignments)
    _check_range("max_faces", options.max_faces, MAX_FACES)
    _check_range("upsample", options.upsample, MAX_UPSAMPLE)
    _check_range("min_face_pixels", options.min_face_pixels, MAX_FACE_PIXELS)
    given = options.HasField
    return EncodeOptions(
        max_faces=options.max_faces,
        upsample=options.upsample if given("upsample") else defaults.upsample,
        min_face_pixels=options.min_face_pixels,
        full_resolution=options.full_resolution if given("full_resolution") else defaults.full_resolution,
        detector=_DETECTORS.get(options.detector, defaults.detector),
        alignment=alignment,
        boxes=boxes,
    )


def _alignment(given: pb.Alignment.ValueType, offered: Collection[Alignment]) -> Alignment:
    found = _ALIGNMENTS.get(given)
    if found is None:
        message = "alignment must be ALIGNMENT_SMALL or ALIGNMENT_LARGE"
    elif found in offered:
        return found
    else:
        message = (
            "ALIGNMENT_LARGE is not offered here: the photos that its 68-point model was trained on are not "
            "licensed for commercial use. Leave alignment out for 5 points, or have the operator set "
            "large_landmarks where that license allows it"
        )
    raise OptionInvalid(message, field="options.alignment")


def _check_range(name: str, value: int, max_value: int) -> None:
    if value > max_value:
        raise OptionInvalid(f"{name} is {value}; it must be 0 to {max_value}", field=f"options.{name}")


def _boxes(given: Iterable[pb.BoundingBox]) -> tuple[BoundingBox, ...]:
    return tuple(_box(box, f"face_boxes[{index}]") for index, box in enumerate(given))


def _box(box: pb.BoundingBox, field: str) -> BoundingBox:
    for near, far in (("left", "right"), ("top", "bottom")):
        low, high = getattr(box, near), getattr(box, far)
        if not _MIN_EDGE <= low <= _MAX_NEAR_EDGE:
            message = f"{near} is {low}; it must be {_MIN_EDGE} to {_MAX_NEAR_EDGE}"
            raise OptionInvalid(message, field=f"{field}.{near}")
        if not low < high <= _MAX_FAR_EDGE:
            message = f"{far} is {high}; it must be more than {near}, {low}, and at most {_MAX_FAR_EDGE}"
            raise OptionInvalid(message, field=f"{field}.{far}")
    return BoundingBox(top=box.top, right=box.right, bottom=box.bottom, left=box.left)
