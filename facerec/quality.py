"""The quality of a face: measured by the encoder, passed on by the matcher and the client."""

import dataclasses
import enum


class QualityReason(enum.StrEnum):
    """Why a face is of poor quality; the contract's QualityReason without its prefix."""

    TOO_SMALL = "TOO_SMALL"
    BLURRED = "BLURRED"
    TOO_DARK = "TOO_DARK"
    TOO_BRIGHT = "TOO_BRIGHT"
    LOW_CONTRAST = "LOW_CONTRAST"
    TURNED = "TURNED"
    CUT_BY_BORDER = "CUT_BY_BORDER"
    NOISY = "NOISY"
    COMPRESSED = "COMPRESSED"
    UNEVEN_LIGHT = "UNEVEN_LIGHT"


@dataclasses.dataclass(frozen=True)
class Quality:
    """How suitable a face is for comparison. Only `enroll` refuses faces by it, by the collection's settings.

    Attributes:
        face_pixels: The shorter side of the face's box, in pixels of the upright image.
        sharpness: The standard deviation of the luma's Laplacian over that of the luma, 0 to 8; a face is
            blurred below about 0.1.
        brightness: The mean luma, as a share of white, 0 to 1.
        contrast: The standard deviation of the luma, as a share of white, 0 to 0.5.
        roll_degrees: The rotation in the image plane, clockwise, -180 to 180 degrees.
        yaw: How far the nose lies to the right of the midpoint between the eyes, in distances between the
            eyes; 0 for a face seen from the front.
        pitch: How far the nose lies below that midpoint, in the same unit; about 0.55 from the front.
        outside: The share of the box that lies outside the image, 0 to 1.
        noise: The standard deviation of the pixel noise, as a share of white, 0 to 2.
        flatness: The share of the face without fine detail, 0 to 1.
        unevenness: The difference of the skin's brightness between the brightest and the darkest corner of
            the face, over their sum, 0 to 1.
        reasons: Why the face is of poor quality, by the server's thresholds, of `QUALITY_REASONS`: TOO_SMALL,
            BLURRED, TOO_DARK, TOO_BRIGHT, LOW_CONTRAST, TURNED, CUT_BY_BORDER, NOISY, COMPRESSED,
            UNEVEN_LIGHT; empty for a face of good quality. Reasons that only a newer encoder knows are left
            out.
    """

    face_pixels: int
    sharpness: float
    brightness: float
    contrast: float
    roll_degrees: float
    yaw: float
    pitch: float
    outside: float
    noise: float
    flatness: float
    unevenness: float
    reasons: tuple[str, ...] = ()
