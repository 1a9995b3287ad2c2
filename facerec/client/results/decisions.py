"""Decisions about faces: the answers of `verify`, `identify` and `compare`."""

import dataclasses
from typing import Self

from facerec.client.attributes import Labels, Metadata, metadata_of
from facerec.client.results.distances import distance
from facerec.client.results.faces import BoundingBox, qualities_of, quality_of
from facerec.client.results.score_rules import score_rule_name
from facerec.matcher import v1
from facerec.quality import Quality


@dataclasses.dataclass(frozen=True)
class Verification:
    """The answer of `verify`, by the collection's `score_rule`.

    Attributes:
        match: Whether the distance is at most the threshold.
        distance: Between the claim and the person's faces, by `score_rule`; None without `scores`.
        threshold: The largest distance, inclusive, that is a match: `max_distance`, or the collection's
            `verify_threshold`.
        nearest_face_id: The person's face nearest to the claim; "" without `scores`.
        faces_compared: How many faces the person has, all of which were compared.
        space: The space of the vectors.
        quality: How fit the probe's face is to be compared; None where the probe is not an image, and for
            several photos.
        labels: The person's labels; empty unless they were included and the face matches.
        metadata: The person's metadata, likewise.
        score_rule: The collection's rule: `nearest` or `root_mean_square`.
        photos: How many probes the claim has.
        qualities: How fit the faces of several photos are, in their order, None for one that is not an image;
            empty for a single one.
    """

    match: bool
    distance: float | None
    threshold: float
    nearest_face_id: str
    faces_compared: int
    space: str
    quality: Quality | None = None
    labels: Labels = dataclasses.field(default_factory=dict, hash=False)
    metadata: Metadata = dataclasses.field(default_factory=dict, hash=False)
    score_rule: str = ""
    photos: int = 1
    qualities: tuple[Quality | None, ...] = ()

    @classmethod
    def from_message(cls, message: v1.VerifyResponse) -> Self:
        """Read the contract's message."""
        return cls(
            message.match,
            distance(message),
            message.threshold,
            message.nearest_face_id,
            message.faces_compared,
            message.space,
            quality_of(message),
            dict(message.labels),
            metadata_of(message),
            score_rule_name(message.score_rule),
            message.photos,
            qualities_of(message),
        )


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A person to whom a face may belong.

    Attributes:
        person_id: The person.
        display_name: The person's display text; "" where there is none.
        distance: From the probe to the nearest of the person's faces; None without `scores`.
        face_id: That nearest face; "" without `scores`.
        labels: The person's labels; empty unless they were included.
        metadata: The person's metadata, likewise.
        probe_face_id: The face of the probe's person that the distance is from; "" unless the probe is a
            `StoredPerson`.
    """

    person_id: str
    display_name: str
    distance: float | None
    face_id: str
    labels: Labels = dataclasses.field(default_factory=dict, hash=False)
    metadata: Metadata = dataclasses.field(default_factory=dict, hash=False)
    probe_face_id: str = ""

    @classmethod
    def from_message(cls, message: v1.Candidate) -> Self:
        """Read the contract's message."""
        return cls(
            message.person_id,
            message.display_name,
            distance(message),
            message.face_id,
            dict(message.labels),
            metadata_of(message),
            message.probe_face_id,
        )


@dataclasses.dataclass(frozen=True)
class IdentifiedFace:
    """The answer of `identify` for one face.

    Attributes:
        probe_index: The index of its probe, from 0; 0 with `same_person`.
        bounding_box: Where the face is in the probe's image; None where the probe is not an image, and with
            `same_person`.
        candidates: The persons within the threshold, nearest first, `max_candidates` at most; empty for
            nobody. Without `scores` they are in the order of their ids, and the first is not the likeliest.
        mode: How the collection was searched: `exact` (every face of the persons searched was compared),
            `index`, or `index_confirmed` (an index was queried and an exact scan decided); "" without
            `scores`.
        exact: Whether no nearer face can have been missed; None without `scores`.
        faces_searched: How many distances were computed; None without `scores`.
        quality: How fit the face is to be compared; None where the probe is not an image, and with
            `same_person`.
        matched_persons: How many persons are within the threshold, of whom `candidates` may be a part; 101
            means more than 100. Above 1, the caller has to choose among them by other means.
        photos: How many probes the answer is for: 1, or with `same_person` all of them.
        qualities: With `same_person`, how fit the faces of the probes are, in their order, None for one that
            is not an image; empty otherwise.
        image_width: The upright width of the probe's image in pixels; 0 where `bounding_box` is None.
        image_height: Its upright height in pixels; 0 where `bounding_box` is None.
    """

    probe_index: int
    bounding_box: BoundingBox | None
    candidates: tuple[Candidate, ...]
    mode: str
    exact: bool | None
    faces_searched: int | None
    quality: Quality | None = None
    matched_persons: int = 0
    photos: int = 1
    qualities: tuple[Quality | None, ...] = ()
    image_width: int = 0
    image_height: int = 0

    @classmethod
    def from_message(cls, message: v1.IdentifiedFace) -> Self:
        """Read the contract's message."""
        box = BoundingBox.from_message(message.bounding_box) if message.HasField("bounding_box") else None
        has_scores = message.HasField("exact")
        candidates = tuple(map(Candidate.from_message, message.candidates))
        return cls(
            message.probe_index,
            box,
            candidates,
            search_mode(message.mode) if has_scores else "",
            message.exact if has_scores else None,
            message.faces_searched if has_scores else None,
            quality_of(message),
            message.matched_persons,
            message.photos,
            qualities_of(message),
            message.image_width,
            message.image_height,
        )


@dataclasses.dataclass(frozen=True)
class Identification:
    """The answer of `identify`.

    Attributes:
        faces: One answer per probe; with `same_person` one for all; with `all_faces` one per face of each
            image, largest first: an image without a face then has none.
        threshold: The largest distance, inclusive, of a candidate: `max_distance`, or the collection's
            `identify_threshold`.
        space: The space of the vectors.
        expected_false_positives: The expected number of the collection's faces that the face of an unenrolled
            person matches (expected false positives), by the applied calibration. None without one.
        expected_false_positives_high: The upper end of that number's 95 % interval; None without a
            calibration.
    """

    faces: tuple[IdentifiedFace, ...]
    threshold: float
    space: str
    expected_false_positives: float | None = None
    expected_false_positives_high: float | None = None

    @classmethod
    def from_message(cls, message: v1.IdentifyResponse) -> Self:
        """Read the contract's message."""
        calibrated = message.HasField("expected_false_positives")
        return cls(
            tuple(map(IdentifiedFace.from_message, message.faces)),
            message.threshold,
            message.space,
            message.expected_false_positives if calibrated else None,
            message.expected_false_positives_high if calibrated else None,
        )


@dataclasses.dataclass(frozen=True)
class Comparison:
    """The answer of `compare`.

    Attributes:
        match: Whether the distance is at most the threshold.
        distance: Between the two faces, or the nearest two of persons' faces; None without `scores`.
        threshold: The largest distance, inclusive, that is a match: `max_distance`, or the collection's
            `verify_threshold`.
        space: The space of the vectors.
        quality_a: How fit the first face is to be compared; None where it was not given as an image.
        quality_b: The same of the second face.
        face_id_a: The nearest face of the first person; "" where it was not given as a `StoredPerson`.
        face_id_b: The same of the second person.
    """

    match: bool
    distance: float | None
    threshold: float
    space: str
    quality_a: Quality | None = None
    quality_b: Quality | None = None
    face_id_a: str = ""
    face_id_b: str = ""

    @classmethod
    def from_message(cls, message: v1.CompareResponse) -> Self:
        """Read the contract's message."""
        return cls(
            message.match,
            distance(message),
            message.threshold,
            message.space,
            quality_of(message, "quality_a"),
            quality_of(message, "quality_b"),
            message.face_id_a,
            message.face_id_b,
        )


def search_mode(mode: v1.SearchMode.ValueType) -> str:
    """The short name of a mode: `exact`, `index` or `index_confirmed`."""
    return v1.SearchMode.Name(mode).removeprefix("SEARCH_MODE_").lower()
