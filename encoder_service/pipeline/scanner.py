"""From an image's bytes to the faces in it, placed, cut out and judged: what a thread does."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from PIL import Image

from encoder_service.decoding.header import Header, ImageLimits, read_header
from encoder_service.decoding.images import Picture, Scaled
from encoder_service.decoding.pixels import Pixels
from encoder_service.detection.detector import Detector
from encoder_service.domain import cancellation, scaling
from encoder_service.domain.errors import ImageTooLarge, OptionInvalid
from encoder_service.domain.faces import (
    MAX_FACES,
    Alignment,
    BoundingBox,
    Detection,
    DetectorName,
    EncodeOptions,
    Landmarks,
)
from encoder_service.domain.scaling import Copy
from encoder_service.embedding.network import CHIP_PIXELS
from encoder_service.pipeline.alignment import Aligner
from encoder_service.pipeline.cost import Plan
from encoder_service.pipeline.quality import QualityAssessor
from facerec.quality import Quality

_COPY_DENSITY: Final = 3.0
"""A copy is made from at least this many times its own pixels a side, where the picture has them.

A JPEG's bits cost most of its decoding at any scale, so what the chip will need is better decoded at once.
"""

_CHIP_DENSITY: Final = 3.0
"""A face is cut from pixels at least this many times as dense as the chip's, where the picture has them."""

_ENOUGH_DENSITY: Final = 2.0
"""What is decoded already is taken from here on: more is not worth another decoding."""

_CHIP_SHARE: Final = 0.8
"""The side of a face's box over that of its chip, about."""


@dataclasses.dataclass(frozen=True)
class Bounds:
    """The longer side, in pixels, of the copy on which faces are sought.

    `again_side` is that of the copy for a second look, where the first found nothing.
    """

    first_side: int = 640
    again_side: int = 1280


@dataclasses.dataclass(frozen=True, eq=False)
class Scan:
    """What was made of an image; one item a face each, and no chips where none were wanted."""

    detections: Sequence[Detection]
    landmarks: Sequence[Landmarks]
    qualities: Sequence[Quality]
    chips: Sequence[Pixels]
    width: int
    height: int


class Scanner:
    """Finds, places and cuts out faces. Safe to share between threads."""

    def __init__(
        self,
        *,
        limits: ImageLimits,
        detectors: Mapping[DetectorName, Detector],
        aligner: Aligner,
        assessor: QualityAssessor,
        bounds: Bounds,
    ) -> None:
        self._limits = limits
        self._detectors = detectors
        self._aligner = aligner
        self._assessor = assessor
        self._bounds = bounds

    @property
    def alignments(self) -> tuple[Alignment, ...]:
        """Those that faces can be turned upright by, the default first."""
        return self._aligner.alignments

    def warm_up(self) -> None:
        """Do on the calling thread what its first image would wait for."""
        for detector in self._detectors.values():
            detector.warm_up()

    def plan(self, image: bytes, options: EncodeOptions) -> Plan:
        """Say what `scan` will do, without decoding the image. Raises ImageError, OptionInvalid."""
        header = read_header(image, self._limits)
        if options.boxes:
            return Plan(header, box_pixels=self._box_pixels(header, options.boxes))
        detector = self._detectors[options.detector]
        looks, option = self._looks(detector, header.width, header.height, options)
        _check_searched(detector, looks[0], (header.width, header.height), option)
        return Plan(header, sum(map(detector.searched_pixels, looks)), detector.weight)

    def scan(self, image: bytes, options: EncodeOptions, plan: Plan | None = None) -> Scan:
        """Find the faces of an image, largest first, or in the order of `options.boxes`, as planned.

        Raises ImageError, OptionInvalid, what the detector raises, and Cancelled.
        """
        plan = plan or self.plan(image, options)
        with Picture(image, self._limits, plan.header) as picture:
            detections = _choose(self._find(picture, options), options)
            source = _source(picture, detections, options)
        landmarks, qualities, chips = [], [], []
        for detection in detections:
            assert source is not None
            cancellation.check()
            box = _scaled(detection.box, source.scale)
            points, chip = self._aligner.cut(source.values, box, options.alignment)
            landmarks.append(_unscaled(points, source.scale))
            size = (picture.width, picture.height)
            qualities.append(self._assessor.assess(chip, landmarks[-1], detection.box, size))
            chips.append(chip)
        return Scan(detections, landmarks, qualities, chips, picture.width, picture.height)

    def _find(self, picture: Picture, options: EncodeOptions) -> Sequence[Detection]:
        width, height = picture.width, picture.height
        for index, box in enumerate(options.boxes):
            if not box.overlaps(width, height):
                message = f"the box lies outside the image of {width} x {height} pixels"
                raise OptionInvalid(message, field=f"face_boxes[{index}]")
        if options.boxes:
            return [Detection(box, score=None) for box in options.boxes]
        detector = self._detectors[options.detector]
        looks, option = self._looks(detector, width, height, options)
        for copy in looks:
            _check_searched(detector, copy, (width, height), option)
            if found := _look(detector, picture, copy):
                return found
        return []

    def _looks(
        self, detector: Detector, width: int, height: int, options: EncodeOptions
    ) -> tuple[Sequence[Copy], str]:
        """The copies searched, each where those before it show no face, and the option that chose them.

        That is empty where none did: then the copies are as small as the picture's shape allows.
        """
        upsample = options.upsample
        if options.full_resolution:
            return [scaling.whole(width, height, upsample)], "upsample" if upsample else "full_resolution"
        if options.min_face_pixels:
            least, window = options.min_face_pixels, detector.window_pixels
            return [scaling.showing(width, height, upsample, face=least, window=window)], "min_face_pixels"
        first = scaling.within(width, height, upsample, self._bounds.first_side)
        again = scaling.within(width, height, upsample, self._bounds.again_side)
        return [first] if again == first else [first, again], ""

    def _box_pixels(self, header: Header, boxes: Sequence[BoundingBox]) -> int:
        """The pixels in all of the boxes. Raises OptionInvalid where they are too many."""
        pixels = sum(min(box.area, header.width * header.height) for box in boxes)
        most = self._limits.max_pixels  # a chip is made from all that is in its box, by one call of dlib
        if pixels > most:
            raise OptionInvalid(
                f"the boxes cover {pixels} pixels, each counted by itself; at most {most} are accepted: send "
                "fewer boxes, or a smaller picture",
                field="face_boxes",
            )
        return pixels


def _check_searched(detector: Detector, copy: Copy, size: tuple[int, int], option: str) -> None:
    """Raise OptionInvalid naming the option that makes a picture's copy too large to be searched.

    Raises ImageTooLarge where the picture is so narrow that no option would help.
    """
    pixels = detector.searched_pixels(copy)
    if pixels <= detector.max_pixels:
        return
    searched = (
        f"an image of {size[0]} x {size[1]} pixels would be searched on {copy.width} x {copy.height}, "
        f"{pixels} pixels; this detector searches at most {detector.max_pixels}"
    )
    if not option:
        raise ImageTooLarge(f"{searched}: crop it, it is too narrow for a smaller copy")
    fix = "lower upsample" if copy.upsample else "search without full_resolution"
    fix = "raise min_face_pixels" if option == "min_face_pixels" else fix
    raise OptionInvalid(f"{searched}: {fix}, or send a smaller image", field=f"options.{option}")


def _look(detector: Detector, picture: Picture, copy: Copy) -> list[Detection]:
    """Find the faces on a copy."""
    cancellation.check()
    if copy.level == 0:
        pixels = picture.pixels(1.0).values
        cancellation.check()
        return detector.detect(pixels, upsample=copy.upsample)
    source = picture.pixels(min(1.0, _COPY_DENSITY * copy.scale)).values
    cancellation.check()
    found = detector.detect(_resize(source, copy), upsample=0)
    carried = [Detection(detector.to_picture(each.box, copy), each.score) for each in found]
    return sorted(carried, key=lambda each: each.box.area, reverse=True)


def _resize(pixels: Pixels, copy: Copy) -> Pixels:
    size = (copy.width, copy.height)
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0))


def _source(picture: Picture, detections: Sequence[Detection], options: EncodeOptions) -> Scaled | None:
    """The pixels to cut the smallest face from; None where there is no face."""
    if not detections:
        return None
    if options.full_resolution:
        return picture.pixels(1.0)
    side = min(max(detection.box.width, detection.box.height) for detection in detections)
    chip_scale = CHIP_PIXELS * _CHIP_SHARE / side
    if picture.decoded_scale >= min(1.0, _ENOUGH_DENSITY * chip_scale):
        return picture.pixels(picture.decoded_scale)
    return picture.pixels(min(1.0, _CHIP_DENSITY * chip_scale))


def _scaled(box: BoundingBox, scale: float) -> BoundingBox:
    if scale == 1.0:
        return box
    top, right, bottom, left = (
        round((edge + 0.5) * scale - 0.5) for edge in (box.top, box.right, box.bottom, box.left)
    )
    return BoundingBox(top=top, right=right, bottom=bottom, left=left)


def _unscaled(landmarks: Landmarks, scale: float) -> Landmarks:
    if scale == 1.0:
        return landmarks
    points = np.rint((landmarks.points + 0.5) / scale - 0.5).astype(np.int32)
    return dataclasses.replace(landmarks, points=points)


def _choose(found: Sequence[Detection], options: EncodeOptions) -> list[Detection]:
    """Leave out small faces and keep the largest `max_faces`, MAX_FACES at most, in the order given."""
    kept = [face for face in found if min(face.box.width, face.box.height) >= options.min_face_pixels]
    by_area = sorted(range(len(kept)), key=lambda index: kept[index].box.area, reverse=True)
    return [kept[index] for index in sorted(by_area[: options.max_faces or MAX_FACES])]
