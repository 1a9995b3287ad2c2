"""Two faces within a threshold have sketches within its limit, whatever the rotation and the vectors."""

import numpy as np
import numpy.typing as npt
from hypothesis import given, settings
from hypothesis import strategies as st

from matcher_service.identification import sketches

Vector = npt.NDArray[np.float32]
SEEDS = st.integers(0, 2**32 - 1)


def computed_distance(a: Vector, b: Vector) -> float:
    """As pgvector adds up a distance: one float32 after the other."""
    total = np.float32(0)
    for difference in (a - b).astype(np.float32):
        total = np.float32(total + difference * difference)
    return float(np.sqrt(float(total)))


def rotation(seed: int) -> Vector:
    """Orthonormal axes of chance."""
    axes, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(128, 128)))
    return np.ascontiguousarray(axes[: sketches.AXES], np.float32)


@settings(max_examples=300, deadline=None)
@given(
    seed=SEEDS,
    length=st.floats(0, sketches.LONGEST),
    distance=st.one_of(st.floats(0, 4), st.sampled_from([0.0, 1e-6, 0.35, 0.41, 0.5, 0.6])),
    along_axes=st.booleans(),
    scale=st.sampled_from([1.0, 1e-3, 1e-7]),
)
def test_a_face_within_the_threshold_is_within_the_limit(
    seed: int, length: float, distance: float, along_axes: bool, scale: float
) -> None:
    random, axes = np.random.default_rng(seed), rotation(seed)
    face = random.normal(size=128)
    face *= length * scale / np.linalg.norm(face)
    # Along the axes a sketch loses nothing of the distance.
    direction = random.normal(size=sketches.AXES) @ axes if along_axes else random.normal(size=128)
    probe = (face + distance * direction / np.linalg.norm(direction)).astype(np.float32)
    stored = face.astype(np.float32)
    threshold = computed_distance(stored, probe)
    limit = sketches.squared_limit(threshold, float(np.linalg.norm(probe.astype(float))))
    a, b = sketches.rotated(np.stack([stored, probe]), axes)
    assert computed_distance(a, b) ** 2 <= limit


def test_the_limit_is_hardly_wider_than_the_threshold() -> None:
    assert sketches.squared_limit(0.41, 1.4) ** 0.5 - 0.41 < 0.0025


def test_principal_axes_are_orthonormal_and_hold_more_than_others() -> None:
    random = np.random.default_rng(3)
    shape = np.linspace(1, 0.05, 128)
    turn, _ = np.linalg.qr(random.normal(size=(128, 128)))
    vectors = (random.normal(size=(3000, 128)) * shape @ turn).astype(np.float32)
    axes = sketches.principal_axes(vectors[:2000])
    assert np.linalg.norm(axes @ axes.T.astype(float) - np.eye(sketches.AXES), 2) < 1e-6
    kept = {
        name: np.square(vectors[2000:] @ basis.T).sum()
        for name, basis in (("own", axes), ("other", rotation(4)))
    }
    assert kept["own"] > 1.3 * kept["other"]
