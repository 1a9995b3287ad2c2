"""From an image's bytes to its faces, detected, aligned, cropped and assessed, on one thread."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from PIL import Image

from encoder_service.decoding.header import Header, ImageLimits, read_header
from encoder_service.decoding.images import Picture, ScaledPixels
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
from encoder_service.domain.scaling import PyramidLevel
from encoder_service.embedding.network import CHIP_PIXELS
from encoder_service.pipeline.alignment import Aligner
from encoder_service.pipeline.cost import Plan
from encoder_service.pipeline.quality import QualityAssessor
from facerec.quality import Quality

_LEVEL_DENSITY: Final = 3.0
"""A level is scaled from a decoded picture at least this many times as wide and high, where it is that large.

Reading a JPEG's bits is most of the cost of decoding at any scale, so the pixels that the chip will need are
decoded at the same time.
"""

_CHIP_DENSITY: Final = 3.0
"""A chip is sampled from at least this many pixels per chip pixel and side, where the picture has them."""

_ENOUGH_DENSITY: Final = 2.0
"""From this density on, what is decoded already is used: more is not worth decoding again."""

_BOX_PER_CHIP: Final = 0.8
"""The side of a face's box divided by the side of its chip in the picture, approximately."""


@dataclasses.dataclass(frozen=True)
class SearchSizes:
    """The longer sides, in pixels, of the scaled copies that are searched unless a request says otherwise.

    The copy of `second_side` is searched where that of `first_side` shows no face.
    """

    first_side: int = 640
    second_side: int = 1280


@dataclasses.dataclass(frozen=True, eq=False)
class Scan:
    """The faces of an image, one item per face in each sequence, and the upright image's size in pixels."""

    detections: Sequence[Detection]
    landmarks: Sequence[Landmarks]
    qualities: Sequence[Quality]
    chips: Sequence[Pixels]
    width: int
    height: int


class Scanner:
    """Detects, aligns and assesses faces. Threads may share it."""

    def __init__(
        self,
        *,
        limits: ImageLimits,
        detectors: Mapping[DetectorName, Detector],
        aligner: Aligner,
        assessor: QualityAssessor,
        search_sizes: SearchSizes,
    ) -> None:
        self._limits = limits
        self._detectors = detectors
        self._aligner = aligner
        self._assessor = assessor
        self._search_sizes = search_sizes

    @property
    def alignments(self) -> tuple[Alignment, ...]:
        """The alignments offered, the default first."""
        return self._aligner.alignments

    def warm_up(self) -> None:
        """Prepare the calling thread, so that its first image does not wait."""
        for detector in self._detectors.values():
            detector.warm_up()

    def plan(self, image: bytes, options: EncodeOptions) -> Plan:
        """Say what `scan` will do, without decoding the image. Raises ImageError, OptionInvalid."""
        header = read_header(image, self._limits)
        if options.boxes:
            return Plan(header, box_pixels=self._box_pixels(header, options.boxes))
        detector = self._detectors[options.detector]
        levels, option = self._levels(detector, header.width, header.height, options)
        _check_searched(detector, levels[0], (header.width, header.height), option)
        return Plan(header, sum(map(detector.searched_pixels, levels)), detector.weight)

    def scan(self, image: bytes, options: EncodeOptions, plan: Plan | None = None) -> Scan:
        """Find the faces of an image as planned: largest first, or in the order of `options.boxes`.

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
            points, chip = self._aligner.align(source.values, box, options.alignment)
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
        levels, option = self._levels(detector, width, height, options)
        for level in levels:
            _check_searched(detector, level, (width, height), option)
            if found := _detect(detector, picture, level):
                return found
        return []

    def _levels(
        self, detector: Detector, width: int, height: int, options: EncodeOptions
    ) -> tuple[Sequence[PyramidLevel], str]:
        """The levels to search, each where those before show no face, and the option that chose them.

        The option is empty where none did: then the levels are as small as the picture's shape allows.
        """
        upsample = options.upsample
        if options.full_resolution:
            return [scaling.full_size(width, height, upsample)], "upsample" if upsample else "full_resolution"
        if options.min_face_pixels:
            face, window = options.min_face_pixels, detector.window_pixels
            level = scaling.smallest_showing(width, height, upsample, face=face, window=window)
            return [level], "min_face_pixels"
        first = scaling.largest_within(width, height, upsample, self._search_sizes.first_side)
        second = scaling.largest_within(width, height, upsample, self._search_sizes.second_side)
        return [first] if second == first else [first, second], ""

    def _box_pixels(self, header: Header, boxes: Sequence[BoundingBox]) -> int:
        """The sum of the boxes' pixels. Raises OptionInvalid where it is too large."""
        pixels = sum(min(box.area, header.width * header.height) for box in boxes)
        max_pixels = self._limits.max_pixels  # dlib reads all pixels of a box to make its chip
        if pixels > max_pixels:
            raise OptionInvalid(
                f"the boxes have {pixels} pixels in sum; at most {max_pixels} are accepted: send fewer "
                "boxes, or a smaller picture",
                field="face_boxes",
            )
        return pixels


def _check_searched(detector: Detector, level: PyramidLevel, size: tuple[int, int], option: str) -> None:
    """Raise OptionInvalid, naming the option, where it makes the level too large to be searched.

    Raises ImageTooLarge where the picture is so narrow that no option would help.
    """
    pixels = detector.searched_pixels(level)
    if pixels <= detector.max_pixels:
        return
    searched = (
        f"an image of {size[0]} x {size[1]} pixels would be searched on {level.width} x {level.height}, "
        f"{pixels} pixels; this detector searches at most {detector.max_pixels}"
    )
    if not option:
        raise ImageTooLarge(f"{searched}: crop it, it is too narrow for a smaller copy")
    fix = "lower upsample" if level.upsample else "search without full_resolution"
    fix = "raise min_face_pixels" if option == "min_face_pixels" else fix
    raise OptionInvalid(f"{searched}: {fix}, or send a smaller image", field=f"options.{option}")


def _detect(detector: Detector, picture: Picture, level: PyramidLevel) -> list[Detection]:
    """Find the faces on a level; boxes are in pixels of the picture."""
    cancellation.check()
    if level.depth == 0:
        pixels = picture.pixels(1.0).values
        cancellation.check()
        return detector.detect(pixels, upsample=level.upsample)
    source = picture.pixels(min(1.0, _LEVEL_DENSITY * level.scale)).values
    cancellation.check()
    found = detector.detect(_resize(source, level), upsample=0)
    mapped = [Detection(detector.to_picture(each.box, level), each.score) for each in found]
    return sorted(mapped, key=lambda each: each.box.area, reverse=True)


def _resize(pixels: Pixels, level: PyramidLevel) -> Pixels:
    size = (level.width, level.height)
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0))


def _source(picture: Picture, detections: Sequence[Detection], options: EncodeOptions) -> ScaledPixels | None:
    """The picture decoded as large as the smallest face's chip needs it; None where there is no face."""
    if not detections:
        return None
    if options.full_resolution:
        return picture.pixels(1.0)
    side = min(max(detection.box.width, detection.box.height) for detection in detections)
    chip_scale = CHIP_PIXELS * _BOX_PER_CHIP / side
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
    """Drop faces below `min_face_pixels` and keep the largest `max_faces` (at most MAX_FACES), order kept."""
    kept = [face for face in found if min(face.box.width, face.box.height) >= options.min_face_pixels]
    by_area = sorted(range(len(kept)), key=lambda index: kept[index].box.area, reverse=True)
    return [kept[index] for index in sorted(by_area[: options.max_faces or MAX_FACES])]
