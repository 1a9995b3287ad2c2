"""The 68-point landmark model: loaded and offered only where the operator allows it."""

import shutil
from pathlib import Path

import pytest

import facerec.encoder.v1 as pb
from encoder_service.embedding.dlib_weights import files
from facerec.errors import Reason
from tests.e2e.encoder.test_service import refusal
from tests.e2e.encoder.wire import EncoderStub
from tests.fixtures.encoder import EncoderProcess

LARGE = pb.EncodeOptions(alignment=pb.ALIGNMENT_LARGE)


async def test_the_large_alignment_is_refused_for_its_licence_unless_it_is_allowed(
    encoder: EncoderStub, sample_photos: Path
) -> None:
    image = (sample_photos / "obama.jpg").read_bytes()
    box = pb.BoundingBox(top=142, right=617, bottom=409, left=349)
    calls = (
        encoder.Encode(pb.EncodeRequest(image=image, options=LARGE)),
        encoder.Encode(pb.EncodeRequest(image=image, options=LARGE, face_boxes=[box])),
        encoder.DetectFaces(pb.DetectFacesRequest(image=image, options=LARGE)),
    )
    for call in calls:
        refused = await refusal(call)
        assert (refused.reason, refused.field) == (Reason.OPTION_INVALID, "options.alignment")
        assert "not licensed for commercial use" in refused.message
        assert "large_landmarks" in refused.message


async def test_landmarks_are_the_five_points_by_default(encoder: EncoderStub, sample_photos: Path) -> None:
    image = (sample_photos / "obama.jpg").read_bytes()
    options = pb.EncodeOptions(return_landmarks=True)
    (face,) = (await encoder.Encode(pb.EncodeRequest(image=image, options=options))).faces
    assert (face.landmarks.alignment, len(face.landmarks.points)) == (pb.ALIGNMENT_SMALL, 5)


async def test_an_encoder_that_may_load_the_model_offers_both_alignments(large_encoder: EncoderStub) -> None:
    model = await large_encoder.GetModel(pb.GetModelRequest())
    assert list(model.alignments) == [pb.ALIGNMENT_SMALL, pb.ALIGNMENT_LARGE]
    assert list(model.spaces) == ["dlib-resnet-v1/small/150x0.25", "dlib-resnet-v1/large/150x0.25"]
    assert model.space == model.spaces[0]


@pytest.fixture
def without_68(tmp_path: Path) -> Path:
    """A folder of weights without the model of 68 landmarks."""
    found = files.find()
    for path in (found.resnet, found.landmarks_5, found.mmod):
        shutil.copy(path, tmp_path)
    return tmp_path


def test_the_file_of_68_landmarks_is_needed_only_by_those_who_ask_for_it(
    without_68: Path, model_cache: Path
) -> None:
    server = EncoderProcess("--weights-dir", str(without_68), cache=model_cache)
    try:
        server.event("serving")
    finally:
        assert server.stop() == 0
    asking = EncoderProcess("--weights-dir", str(without_68), "--large-landmarks", cache=model_cache)
    assert asking.process.wait(60) == 2
    asking.stop()
    assert "shape_predictor_68_face_landmarks.dat" in "".join(asking.lines)
