"""dlib's weights are read to the last byte and converted once."""

import hashlib
import math
import multiprocessing
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from encoder_service.domain.errors import WeightsInvalid
from encoder_service.embedding.dlib_weights import cache, files, resnet
from encoder_service.embedding.dlib_weights.files import Weights
from encoder_service.embedding.dlib_weights.layers import Convolution, Linear
from encoder_service.embedding.dlib_weights.reader import Reader


@pytest.fixture(scope="module")
def weights() -> Weights:
    return files.read(files.find().resnet)


def test_the_network_parses_to_the_exact_last_byte(weights: Weights) -> None:
    network = resnet.parse(weights.data)
    convolutions = [layer for layer in network.layers if isinstance(layer, Convolution)]
    assert weights.name == "dlib-resnet-v1"
    assert len(convolutions) == 29
    assert convolutions[0].weights.shape == (32, 3, 7, 7)
    assert isinstance(network.layers[-1], Linear) and network.layers[-1].weights.shape == (256, 128)
    assert network.average == pytest.approx((122.782, 117.001, 104.298), abs=1e-4)


@pytest.mark.parametrize("change", ["one byte more", "one byte less", "empty", "another network"])
def test_a_file_that_is_not_the_whole_network_is_refused(weights: Weights, change: str) -> None:
    data = {
        "one byte more": weights.data + b"\0",
        "one byte less": weights.data[:-1],
        "empty": b"",
        "another network": (files.find().resnet.parent / "mmod_human_face_detector.dat").read_bytes(),
    }[change]
    with pytest.raises(WeightsInvalid):
        resnet.parse(data)


@given(st.integers(min_value=-(2**63), max_value=2**63 - 1))
def test_an_integer_is_read_as_dlib_writes_it(value: int) -> None:
    magnitude = abs(value).to_bytes(8, "little").rstrip(b"\0") or b"\0"
    reader = Reader(bytes([len(magnitude) | (0x80 if value < 0 else 0)]) + magnitude)
    assert reader.integer() == value
    reader.end()


@given(st.binary(max_size=64), st.sampled_from(["integer", "real", "boolean", "string", "tensor"]))
def test_bytes_that_are_no_value_are_refused_and_nothing_else_happens(data: bytes, kind: str) -> None:
    try:
        value = getattr(Reader(data), kind)()
    except WeightsInvalid:
        return
    assert isinstance(value, int | float | bool | str | np.ndarray)


def test_floats_beyond_the_finite_are_read() -> None:
    def real(exponent: int) -> float:
        return Reader(b"\x01\x01\x02" + exponent.to_bytes(2, "little")).real()

    assert real(32000) == math.inf
    assert real(32001) == -math.inf
    assert math.isnan(real(32002))


def test_a_network_is_converted_once_and_then_taken_from_disk(tmp_path: Path) -> None:
    some = Weights(data=b"weights", sha256=hashlib.sha256(b"weights").hexdigest())
    assert cache.fetch(tmp_path, some, lambda data: data + b" converted") == b"weights converted"
    assert cache.fetch(tmp_path, some, lambda data: pytest.fail("converted again")) == b"weights converted"


@pytest.mark.parametrize("damage", [lambda entry: entry[:-1], lambda entry: b"", lambda entry: entry + b"x"])
def test_a_damaged_entry_is_converted_again(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    some = Weights(data=b"weights", sha256="0" * 64)
    cache.fetch(tmp_path, some, lambda data: b"network")
    path = cache.entry_path(tmp_path, some)
    path.write_bytes(damage(path.read_bytes()))
    assert cache.fetch(tmp_path, some, lambda data: b"network") == b"network"
    assert cache.fetch(tmp_path, some, lambda data: pytest.fail("not fixed")) == b"network"


def test_an_unwritable_cache_folder_costs_only_a_conversion(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    some = Weights(data=b"weights", sha256="0" * 64)
    assert cache.fetch(tmp_path / "file" / "below", some, lambda data: b"network") == b"network"


def fetch_real(folder: Path) -> str:
    from encoder_service.embedding import network as embedding

    model = cache.fetch(folder, files.read(files.find().resnet), embedding.convert)
    return hashlib.sha256(model).hexdigest()


def test_processes_that_race_for_the_conversion_all_get_the_whole_network(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        digests = pool.map(fetch_real, [tmp_path / "new"] * 3)
    assert len(set(digests)) == 1
    assert [path.suffix for path in (tmp_path / "new").iterdir()] == [".onnx"]
