"""Over the wire, the service finds the faces face_recognition finds and gives them its vectors."""

import io
from pathlib import Path
from typing import Any

import dlib
import numpy as np
import pytest
from PIL import Image

import facerec.encoder.v1 as pb
from tests.e2e.encoder.wire import EncoderStub

PHOTOS = [
    *("obama.jpg", "obama2.jpg", "obama3.jpg", "biden.jpg"),
    *("obama_partial_face.jpg", "obama_partial_face2.jpg", "32bit.png"),
]
SAME = 1e-5
EXACT = pb.EncodeOptions(full_resolution=True)

Box = tuple[int, int, int, int]


def box_of(face: pb.Face) -> Box:
    """(top, right, bottom, left), face_recognition's order."""
    box = face.bounding_box
    return box.top, box.right, box.bottom, box.left


def by_box(faces: Any) -> dict[Box, Any]:
    return {box_of(face): np.array(face.encoding.values) for face in faces}


@pytest.mark.parametrize("name", PHOTOS)
async def test_a_photo_gives_the_boxes_and_vectors_of_face_recognition(
    encoder: EncoderStub, sample_photos: Path, face_recognition: Any, name: str
) -> None:
    path = sample_photos / name
    pixels = face_recognition.load_image_file(str(path))
    rectangles = face_recognition.api._raw_face_locations(pixels)
    boxes = [face_recognition.api._rect_to_css(each) for each in rectangles]
    references = dict(zip(boxes, face_recognition.face_encodings(pixels, boxes), strict=True))
    answer = await encoder.Encode(pb.EncodeRequest(image=path.read_bytes(), options=EXACT))
    assert (answer.image_height, answer.image_width) == pixels.shape[:2]
    vectors = by_box(answer.faces)
    assert vectors.keys() == references.keys()
    for box, reference in references.items():
        assert np.linalg.norm(vectors[box] - reference) <= SAME
    assert all(face.encoding.space == "dlib-resnet-v1/small/150x0.25" for face in answer.faces)


async def test_the_large_alignment_is_that_of_68_points(
    large_encoder: EncoderStub, sample_photos: Path, face_recognition: Any
) -> None:
    path = sample_photos / "obama.jpg"
    pixels = face_recognition.load_image_file(str(path))
    (reference,) = face_recognition.face_encodings(pixels, model="large")
    points = face_recognition.api._raw_face_landmarks(pixels)[0].parts()
    options = pb.EncodeOptions(alignment=pb.ALIGNMENT_LARGE, return_landmarks=True, full_resolution=True)
    (face,) = (await large_encoder.Encode(pb.EncodeRequest(image=path.read_bytes(), options=options))).faces
    assert np.linalg.norm(np.array(face.encoding.values) - reference) <= SAME
    assert face.encoding.space == "dlib-resnet-v1/large/150x0.25"
    assert [(point.x, point.y) for point in face.landmarks.points] == [(point.x, point.y) for point in points]


async def test_given_boxes_are_encoded_in_their_order_as_face_recognition_does(
    encoder: EncoderStub, sample_photos: Path, face_recognition: Any
) -> None:
    path = sample_photos / "obama.jpg"
    pixels = face_recognition.load_image_file(str(path))
    boxes = [(150, 600, 400, 360), (142, 617, 409, 349)]  # the smaller first: order is the caller's
    references = face_recognition.face_encodings(pixels, known_face_locations=boxes)
    given = [
        pb.BoundingBox(top=top, right=right, bottom=bottom, left=left) for top, right, bottom, left in boxes
    ]
    answer = await encoder.Encode(pb.EncodeRequest(image=path.read_bytes(), face_boxes=given, options=EXACT))
    assert [box_of(face) for face in answer.faces] == boxes
    for face, reference in zip(answer.faces, references, strict=True):
        assert np.linalg.norm(np.array(face.encoding.values) - reference) <= SAME
        assert not face.HasField("detection_score") and not face.HasField("landmarks")


@pytest.mark.parametrize("upsample", [0, 2])
async def test_upsampling_is_the_detectors_own(
    encoder: EncoderStub, sample_photos: Path, face_recognition: Any, upsample: int
) -> None:
    picture = (
        Image.open(sample_photos / "obama.jpg").convert("RGB").crop((250, 50, 750, 550)).resize((200, 200))
    )
    with io.BytesIO() as out:
        picture.save(out, "PNG")
        image = out.getvalue()
    rectangles, scores, _ = dlib.get_frontal_face_detector().run(np.asarray(picture), upsample, 0.0)
    expected = {
        face_recognition.api._rect_to_css(rectangle): score
        for rectangle, score in zip(rectangles, scores, strict=True)
    }
    request = pb.DetectFacesRequest(
        image=image, options=pb.EncodeOptions(upsample=upsample, full_resolution=True)
    )
    faces = (await encoder.DetectFaces(request)).faces
    assert faces
    assert {box_of(face): face.detection_score for face in faces} == pytest.approx(expected)
    assert all(len(face.landmarks.points) == 5 and not face.HasField("encoding") for face in faces)
