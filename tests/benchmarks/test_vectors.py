"""Generated datasets have the distances and variances of real dlib encodings."""

import numpy as np

from tests.benchmarks.vectors import Dataset, Vectors

DATASET = Dataset(10_000, photos=2, even=True)


def test_norms_are_those_of_dlib() -> None:
    norms = np.linalg.norm(DATASET.all().encodings, axis=1)
    assert np.mean((norms > 1.38) & (norms < 1.48)) > 0.97


def test_different_persons_are_as_far_apart_as_real_ones() -> None:
    first = DATASET.all().encodings[::2]
    distances = np.linalg.norm(first[:5000] - first[5000:], axis=1)
    assert abs(np.median(distances) - 0.86) < 0.01
    assert 0.005 < np.mean(distances < 0.64) < 0.02


def test_photos_of_one_person_are_as_far_apart_as_real_ones() -> None:
    faces = DATASET.all().encodings
    distances = np.linalg.norm(faces[::2] - faces[1::2], axis=1)
    assert abs(np.median(distances) - 0.35) < 0.01
    assert np.mean((distances > 0.26) & (distances < 0.45)) > 0.9


def test_dimensions_are_correlated_as_in_real_encodings() -> None:
    first = DATASET.all().encodings[::2]
    ratios = [participation(first[start : start + 66]) for start in range(0, 6600, 66)]
    assert 18 < np.mean(ratios) < 22
    values = np.linalg.eigvalsh(np.cov(first.T))[::-1]
    assert 4 < values[0] / values[9] < 10  # 1/i would give 10, 1/(i + 0.5) gives 7
    assert 20 < values[0] / values[49] < 50


def test_a_genuine_probe_is_another_photo_of_its_person() -> None:
    probes, faces = DATASET.genuine(500), DATASET.all().encodings
    enrolled = faces.reshape(-1, 2, 128)[probes.people]
    distances = np.linalg.norm(enrolled - probes.encodings[:, None], axis=2)
    assert distances.min() > 0.1
    assert abs(np.median(distances) - 0.35) < 0.02


def test_an_unenrolled_probe_is_of_nobody_in_the_dataset() -> None:
    faces, non_mated = DATASET.all().encodings, DATASET.non_mated(50)
    nearest = [np.linalg.norm(faces - probe, axis=1).min() for probe in non_mated]
    assert min(nearest) > 0.35
    assert np.median(nearest) > 0.45


def test_a_seed_gives_the_same_dataset_each_time_and_another_seed_another_one() -> None:
    again = Dataset(10_000, photos=2, even=True)
    again.non_mated(3)
    assert np.array_equal(again.all().encodings, DATASET.all().encodings)
    assert np.array_equal(again.genuine(5).encodings, DATASET.genuine(5).encodings)
    other = Dataset(10, photos=2, even=True, seed=2).all().encodings
    assert not np.allclose(other, DATASET.all().encodings[:20])


def test_random_photo_counts_have_the_requested_mean_and_stay_within_the_maximum() -> None:
    faces = Dataset(10_000, photos=5, max_photos=30).all()
    counts = np.bincount(faces.people)
    assert counts.min() == 1
    assert counts.max() <= 30
    assert abs(counts.mean() - 5) < 0.2


def participation(rows: Vectors) -> float:
    covariance = np.cov(rows.T)
    return float(np.trace(covariance) ** 2 / (covariance**2).sum())
