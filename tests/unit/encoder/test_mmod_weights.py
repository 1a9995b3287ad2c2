"""The detector's weights are read to the last byte."""

import pytest

from encoder_service.domain.errors import WeightsInvalid
from encoder_service.embedding.dlib_weights import files, mmod
from encoder_service.embedding.dlib_weights.files import Weights
from encoder_service.embedding.dlib_weights.layers import Convolution


@pytest.fixture(scope="module")
def weights() -> Weights:
    return files.read(files.find().mmod)


def test_the_detector_parses_to_the_exact_last_byte(weights: Weights) -> None:
    network = mmod.parse(weights.data)
    convolutions = [layer for layer in network.layers if isinstance(layer, Convolution)]
    assert [len(layer.bias) for layer in convolutions] == [16, 32, 32, 45, 45, 45, 1]
    assert network.average == pytest.approx((122.782, 117.001, 104.298), abs=1e-4)
    assert network.window_pixels == 80
    assert network.overlap_threshold == pytest.approx(0.33828, abs=1e-5)
    assert network.covered_threshold == 1
    assert (network.cell_pixels, network.field_pixels) == (8, 29)
    assert [network.cells(pixels) for pixels in (0, 28, 29, 36, 37)] == [0, 0, 1, 1, 2]


@pytest.mark.parametrize("change", ["one byte more", "one byte less", "empty", "another network"])
def test_a_file_that_is_not_the_whole_detector_is_refused(weights: Weights, change: str) -> None:
    data = {
        "one byte more": weights.data + b"\0",
        "one byte less": weights.data[:-1],
        "empty": b"",
        "another network": files.find().resnet.read_bytes(),
    }[change]
    with pytest.raises(WeightsInvalid):
        mmod.parse(data)
