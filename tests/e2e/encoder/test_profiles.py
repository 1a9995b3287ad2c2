"""Over the wire, the default profile answers nearly what full resolution does."""

from pathlib import Path

import numpy as np
import pytest

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
