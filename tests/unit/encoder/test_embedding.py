"""ONNX Runtime computes what dlib computes."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from encoder_service.domain.errors import ModelDrift
from encoder_service.embedding import golden
from encoder_service.embedding import network as embedding
from encoder_service.embedding.batcher import Batcher
from encoder_service.embedding.device import CPU, Device, Precision, Tuning
from encoder_service.embedding.dlib_weights import cache, files, graph, resnet
from encoder_service.embedding.network import EmbeddingNetwork

WEIGHTS = files.find().resnet


@pytest.fixture(scope="module")
def network(model_cache: Path) -> EmbeddingNetwork:
    return embedding.load(files.read(WEIGHTS), Device(CPU, 2), cache_folder=model_cache)


@pytest.fixture(scope="module")
def chips(sample_photos: Path, face_recognition: Any) -> npt.NDArray[np.uint8]:
    """Chips of the faces in the sample photos, extracted by dlib."""
    import dlib

    api = face_recognition.api
    extracted = []
    for path in sorted(sample_photos.glob("*.jpg")):
        pixels = np.asarray(Image.open(path).convert("RGB"))
        for location in api.face_locations(pixels, number_of_times_to_upsample=0):
            box = api._css_to_rect(location)
            extracted.append(dlib.get_face_chip(pixels, api.pose_predictor_5_point(pixels, box), 150, 0.25))
    return np.stack(extracted)


@pytest.fixture(scope="module")
def reference(chips: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """dlib's own vectors of the chips."""
    import dlib

    return np.array(dlib.face_recognition_model_v1(str(WEIGHTS)).compute_face_descriptor(list(chips)))


def test_vectors_of_real_chips_are_dlibs(
    network: EmbeddingNetwork, chips: npt.NDArray[np.uint8], reference: npt.NDArray[np.float64]
) -> None:
    assert len(chips) >= 4
    vectors = network.embed(chips)
    assert vectors.dtype == np.float32 and vectors.shape == (len(chips), 128)
    assert np.linalg.norm(vectors - reference, axis=1).max() <= 1e-5


@pytest.mark.parametrize("size", [2, 7, 32])
def test_a_chip_has_the_same_vector_alone_and_in_any_batch(network: EmbeddingNetwork, size: int) -> None:
    chips = np.random.default_rng(size).integers(0, 256, (size, 150, 150, 3), dtype=np.uint8)
    alone = np.concatenate([network.embed(chip[None]) for chip in chips])
    assert np.abs(network.embed(chips) - alone).max() <= 1e-6


def test_the_golden_chip_has_the_vector_recorded_from_dlib(network: EmbeddingNetwork) -> None:
    golden.check(network, golden.expected("dlib-resnet-v1", WEIGHTS))


def test_the_recorded_vector_is_what_dlib_says_here() -> None:
    recorded = golden.expected("dlib-resnet-v1", WEIGHTS)
    assert np.linalg.norm(recorded - golden.expected("sha256-of-another", WEIGHTS)) <= 1e-5


def test_a_network_with_one_wrong_layer_fails_the_self_test() -> None:
    parsed = resnet.parse(WEIGHTS.read_bytes())
    astray = resnet.ResNet(parsed.layers, average=(122.782, 117.001, 105.298), chip_pixels=150)
    with pytest.raises(ModelDrift):
        golden.check(
            EmbeddingNetwork(graph.write(astray), Device(CPU, 2)), golden.expected("dlib-resnet-v1", WEIGHTS)
        )


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_a_batch_padded_to_a_fixed_size_has_the_same_vectors(
    network: EmbeddingNetwork, model_cache: Path, count: int
) -> None:
    device = Device(CPU, 1, batch_sizes=(2, 4))
    fixed = embedding.load(files.read(WEIGHTS), device, cache_folder=model_cache)
    fixed.warm_up()
    chips = np.random.default_rng(count).integers(0, 256, (count, 150, 150, 3), dtype=np.uint8)
    vectors = fixed.embed(chips)
    assert vectors.shape == (count, 128)
    assert np.abs(vectors - network.embed(chips)).max() <= 1e-6


def test_batches_in_flight_in_bound_memory_have_the_vectors_of_a_plain_run_to_the_last_bit(
    model_cache: Path,
) -> None:
    model = cache.fetch(model_cache, files.read(WEIGHTS), embedding.convert)
    device = Device(CPU, 1, batch_sizes=(1, 2, 4), tuning=Tuning(in_flight=2))
    bound = EmbeddingNetwork(model, device)
    bound.warm_up()
    chips = np.random.default_rng(3).integers(0, 256, (22, 150, 150, 3), dtype=np.uint8)
    batcher = Batcher(bound.embed_all, max_batch=4, capacity=len(chips), name="test", threads=2)
    futures = [future for chip in chips for future in batcher.submit([chip])]
    vectors = np.stack([future.result() for future in futures])
    batcher.close()
    assert np.array_equal(vectors, device.open(model, fixed_shapes=False).run({"chips": chips}))
    assert np.array_equal(vectors, bound.embed(chips))  # in several batches, the last one padded


def test_half_precision_drifts_no_further_than_documented(
    network: EmbeddingNetwork, model_cache: Path, chips: npt.NDArray[np.uint8]
) -> None:
    half = embedding.load(
        files.read(WEIGHTS), Device(CPU, 2), cache_folder=model_cache, precision=Precision.FP16
    )
    drift = np.linalg.norm(half.embed(chips) - network.embed(chips), axis=1)
    assert 1e-5 < drift.max() <= golden.MAX_DRIFT[Precision.FP16]
    golden.check(half, golden.expected("dlib-resnet-v1", WEIGHTS), Precision.FP16)
    with pytest.raises(ModelDrift):
        golden.check(half, golden.expected("dlib-resnet-v1", WEIGHTS))
