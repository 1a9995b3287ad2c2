"""Short forms of the encoder's measurements: answers, refusals, memory. Long ones assert times."""

import asyncio
from pathlib import Path

import numpy as np
import pytest

from encoder_service.domain.errors import ImageError
from tests.benchmarks.encoder import engine, fuzz, memory, overload, pictures, speed

CORPUS = Path(__file__).parent / "corpus"


@pytest.fixture(scope="module")
def built(sample_photos: Path) -> engine.Engine:
    return engine.build()


def test_encoding_is_timed_beside_dlib(built: engine.Engine) -> None:
    (row,) = speed.embedding_rows(built, batches=(4,), runs=1)
    assert float(str(row[3]).rstrip("x")) > 0


def test_the_cnn_has_dlibs_boxes(built: engine.Engine) -> None:
    row = speed.cnn_row(built, runs=1)
    assert row[4] == "1 boxes, identical"


def test_under_overload_calls_are_answered_or_refused_and_memory_is_bounded() -> None:
    saturated, overloaded = overload.attempt(3)
    assert not saturated.failures and not overloaded.failures
    assert overloaded.refused and overloaded.answered  # how many of each is a matter of the machine's load
    settled = overloaded.memory[0]
    assert max(overloaded.memory) < 1.2 * settled


def test_mutated_images_are_answered_or_refused_and_nothing_else() -> None:
    outcome, lived = fuzz.attempt(900, seed=7)
    assert lived
    assert not outcome.bad, [code for code, _ in outcome.bad]
    assert outcome.codes["OK"] > 100 and outcome.codes["INVALID_ARGUMENT"] > 100
    assert outcome.peak_bytes - outcome.idle_bytes < 1_000_000_000


def test_a_request_costs_no_more_memory_than_is_stated() -> None:
    profiles = (
        "default",
        "face_boxes",
        "full_resolution, HOG, upsample 2",
        "full_resolution, CNN, upsample 0",
    )
    only = ("WebP",)  # the costliest
    costs = list(memory.attempt(share=0.2, max_image_bytes=2**24, profiles=profiles, only=only))
    assert len(costs) == len(profiles)
    for cost in costs:
        assert cost.answer.endswith("faces"), cost
        assert cost.above_idle_bytes < cost.stated_bytes, cost
    assert max(cost.above_idle_bytes for cost in costs) > 100_000_000  # it is measured at all


@pytest.mark.parametrize("path", sorted(CORPUS.iterdir()), ids=lambda path: path.name)
def test_inputs_that_once_caused_trouble_are_answered_or_refused(built: engine.Engine, path: Path) -> None:
    try:
        assert built.encode(path.read_bytes()) == []
    except ImageError as error:
        assert error.message


async def test_the_clients_phone_photo_has_one_face_in_either_profile(built: engine.Engine) -> None:
    image = pictures.camera_photo()
    (near,), (whole,) = await asyncio.gather(
        asyncio.to_thread(built.encode, image),
        asyncio.to_thread(built.encode, image, engine.FULL),
    )
    assert np.linalg.norm(near.vector - whole.vector) <= 0.05
