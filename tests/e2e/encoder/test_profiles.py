"""Over the wire, the default profile answers nearly what full resolution does."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

import facerec.encoder.v1 as pb
from tests.e2e.encoder.wire import EncoderStub

EXACT = pb.EncodeOptions(full_resolution=True)


@pytest.mark.parametrize("name", ["obama.jpg", "obama2.jpg", "biden.jpg"])
async def test_the_default_profile_gives_nearly_the_vectors_of_full_resolution(
    encoder: EncoderStub, sample_photos: Path, name: str
) -> None:
    image = (sample_photos / name).read_bytes()
    (near,) = (await encoder.Encode(pb.EncodeRequest(image=image))).faces
    (exact,) = (await encoder.Encode(pb.EncodeRequest(image=image, options=EXACT))).faces
    assert np.linalg.norm(np.subtract(near.encoding.values, exact.encoding.values)) <= 0.1
    assert near.encoding.space == exact.encoding.space
    assert exact.encoding.fingerprint.endswith("hog;full_resolution")
    assert near.encoding.fingerprint.endswith("hog;copy_640_1280")


def lying(picture: Image.Image, orientation: int) -> bytes:
    """The picture stored so that EXIF's orientation sets it upright again, without loss."""
    undo = {
        1: None,
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    with io.BytesIO() as out:
        (picture if undo is None else picture.transpose(undo)).save(out, "PNG", exif=exif)
        return out.getvalue()


@pytest.mark.parametrize("options", [pb.EncodeOptions(), EXACT], ids=["default", "full_resolution"])
async def test_a_face_is_the_same_however_its_picture_lies(
    encoder: EncoderStub, sample_photos: Path, options: pb.EncodeOptions
) -> None:
    picture = Image.open(sample_photos / "obama.jpg").convert("RGB").resize((546, 682))
    asked = pb.EncodeOptions(return_landmarks=True)
    asked.MergeFrom(options)

    async def face(orientation: int) -> pb.Face:
        request = pb.EncodeRequest(image=lying(picture, orientation), options=asked)
        answer = await encoder.Encode(request)
        assert (answer.image_width, answer.image_height) == picture.size
        (only,) = answer.faces
        return only

    upright = await face(1)
    assert upright.quality.face_pixels > 100
    assert not upright.quality.reasons
    for orientation in range(2, 9):
        assert await face(orientation) == upright


@pytest.mark.parametrize(
    "options",
    [
        pb.EncodeOptions(detector=pb.DETECTOR_CNN),
        pb.EncodeOptions(alignment=pb.ALIGNMENT_LARGE),
        pb.EncodeOptions(detector=pb.DETECTOR_CNN, alignment=pb.ALIGNMENT_LARGE),
    ],
    ids=["cnn", "68 points", "cnn, 68 points"],
)
@pytest.mark.parametrize("name", ["obama.jpg", "obama2.jpg", "biden.jpg"])
async def test_the_other_detector_and_alignment_are_near_in_the_default_profile_too(
    large_encoder: EncoderStub, sample_photos: Path, name: str, options: pb.EncodeOptions
) -> None:
    image = (sample_photos / name).read_bytes()
    exact = pb.EncodeOptions(full_resolution=True, upsample=0)
    exact.MergeFrom(options)
    (near,) = (await large_encoder.Encode(pb.EncodeRequest(image=image, options=options))).faces
    (whole,) = (await large_encoder.Encode(pb.EncodeRequest(image=image, options=exact))).faces
    assert np.linalg.norm(np.subtract(near.encoding.values, whole.encoding.values)) <= 0.2
    assert near.encoding.space == whole.encoding.space


async def test_a_degraded_face_says_why_it_is_poor(encoder: EncoderStub, sample_photos: Path) -> None:
    picture = Image.open(sample_photos / "obama.jpg").convert("RGB").resize((546, 682))
    box = (await _face(encoder, picture)).bounding_box
    top, side = box.top, box.bottom - box.top
    degraded = {
        pb.QUALITY_REASON_BLURRED: picture.filter(ImageFilter.GaussianBlur(side / 40)),
        pb.QUALITY_REASON_TOO_DARK: ImageEnhance.Brightness(picture).enhance(0.12),
        pb.QUALITY_REASON_TOO_BRIGHT: ImageEnhance.Brightness(picture).enhance(3.2),
        pb.QUALITY_REASON_LOW_CONTRAST: ImageEnhance.Contrast(picture).enhance(0.11),
        pb.QUALITY_REASON_NOISY: _noisy(picture),
        pb.QUALITY_REASON_COMPRESSED: ImageOps.posterize(picture, 2),
        pb.QUALITY_REASON_UNEVEN_LIGHT: _shadowed(picture, (box.left + box.right) // 2),
        pb.QUALITY_REASON_TOO_SMALL: picture.resize(
            (picture.width * 40 // side, picture.height * 40 // side), Image.Resampling.LANCZOS
        ),
        pb.QUALITY_REASON_CUT_BY_BORDER: picture.crop((0, top + side // 6, picture.width, picture.height)),
    }
    for reason, image in degraded.items():
        boxes = [] if reason != pb.QUALITY_REASON_CUT_BY_BORDER else [_shifted(box, side // 6 + top)]
        face = await _face(encoder, image, boxes)
        assert reason in face.quality.reasons, pb.QualityReason.Name(reason)


async def _face(encoder: EncoderStub, picture: Image.Image, boxes: Sequence[pb.BoundingBox] = ()) -> pb.Face:
    with io.BytesIO() as out:
        picture.save(out, "PNG")
        request = pb.EncodeRequest(image=out.getvalue(), face_boxes=boxes, options=EXACT)
    (face,) = (await encoder.Encode(request)).faces
    return face


def _noisy(picture: Image.Image) -> Image.Image:
    noise = np.random.default_rng(1).normal(0, 90, (picture.height, picture.width, 3))
    return Image.fromarray(np.clip(np.asarray(picture) + noise, 0, 255).astype(np.uint8))


def _shadowed(picture: Image.Image, right: int) -> Image.Image:
    shadow = ImageEnhance.Brightness(picture.crop((0, 0, right, picture.height))).enhance(0.2)
    lit = picture.copy()
    lit.paste(shadow, (0, 0))
    return lit


def _shifted(box: pb.BoundingBox, up: int) -> pb.BoundingBox:
    return pb.BoundingBox(top=box.top - up, right=box.right, bottom=box.bottom - up, left=box.left)
