"""The encoder's stages beside dlib's and face_recognition's own, on the same core."""

import functools
import io
import os
from collections.abc import Iterator, Sequence
from typing import Any, Final

import dlib
import numpy as np

from encoder_service.decoding.header import ImageLimits
from encoder_service.decoding.images import decode
from encoder_service.embedding.dlib_weights import files
from tests.benchmarks.encoder import engine, pictures
from tests.benchmarks.encoder.engine import DEFAULT, FULL, Engine
from tests.benchmarks.encoder.tables import median_seconds, table

FASTER_TIMES: Final = 6
"""How many times faster than dlib's the networks are, at the least."""
FACE_FLOPS: Final = 541.7e6
"""Multiplications and additions of the ResNet for one face."""

Row = tuple[object, ...]


def pin_to_one_core() -> None:
    """Keep this process on one core, so that every peer has the same."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def face_recognition() -> Any:
    """The package whose vectors are the reference."""
    import face_recognition as package
    from PIL import ImageFile

    ImageFile.LOAD_TRUNCATED_IMAGES = False  # its import sets it for the whole process
    return package


def sgemm_rate() -> float:
    """The best rate of numpy's sgemm on this thread, in operations a second."""
    best = 0.0
    for size in (512, 1024, 1536):
        a = np.random.default_rng(0).random((size, size), dtype=np.float32)
        best = max(best, 2 * size**3 / median_seconds(functools.partial(np.matmul, a, a), runs=9))
    return best


def embedding_rows(built: Engine, batches: Sequence[int] = (1, 8, 32), runs: int = 3) -> Iterator[Row]:
    """Faces a second by batch, beside dlib-bin and beside the core's best sgemm."""
    peer = dlib.face_recognition_model_v1(str(files.find().resnet))
    for batch in batches:
        chips = np.random.default_rng(batch).integers(0, 256, (batch, 150, 150, 3), dtype=np.uint8)
        theirs = (
            median_seconds(functools.partial(peer.compute_face_descriptor, list(chips)), runs=runs) / batch
        )
        ours = median_seconds(functools.partial(built.embedding.embed, chips), runs=10) / batch
        share = FACE_FLOPS / ours / sgemm_rate()
        yield f"ResNet, batch {batch}", _ms(theirs), _ms(ours), _times(theirs, ours), f"{share:.0%} of sgemm"


def cnn_row(built: Engine, runs: int = 3) -> Row:
    """The CNN detector on 640 x 480, whose boxes must be dlib's."""
    pixels = decode(pictures.camera_photo(), ImageLimits())
    peer = dlib.cnn_face_detection_model_v1(str(files.find().mmod))
    reference = [each.rect for each in peer(pixels, 0)]
    found = [each.box for each in built.cnn.detect(pixels, upsample=0)]
    expected = [(r.left(), r.top(), r.right(), r.bottom()) for r in reference]
    same = [(b.left, b.top, b.right, b.bottom) for b in found] == expected
    theirs = median_seconds(lambda: peer(pixels, 0), runs=runs, warm_up=0)
    ours = median_seconds(lambda: built.cnn.detect(pixels, upsample=0), runs=3 * runs)
    verdict = f"{len(found)} boxes, {'identical' if same else 'NOT IDENTICAL'}"
    return "CNN detection, 640 x 480", _ms(theirs), _ms(ours), _times(theirs, ours), verdict


def photo_rows(built: Engine, runs: int = 3) -> Iterator[Row]:
    """Whole photos from bytes to vector, beside face_recognition."""
    package = face_recognition()
    for name, image in (("640 x 480", pictures.camera_photo()), ("4000 x 3000", pictures.phone_photo())):
        (reference,) = _by_the_package(package, image)
        theirs = median_seconds(functools.partial(_by_the_package, package, image), runs=runs, warm_up=0)
        for profile, options in (("default", DEFAULT), ("full_resolution", FULL)):
            (face,) = built.encode(image, options)
            apart = float(np.linalg.norm(face.vector - reference))
            ours = median_seconds(functools.partial(built.encode, image, options), runs=3 * runs)
            row = f"{name} JPEG, {profile}"
            yield row, _ms(theirs), _ms(ours), _times(theirs, ours), f"vectors {apart:.4f} apart"


def run() -> bool:
    """Print the table, and whether the networks met their speed goals."""
    pin_to_one_core()
    built = engine.build()
    networks = [*embedding_rows(built), cnn_row(built)]
    rows = [*networks, *photo_rows(built)]
    print(f"one core, one thread; sgemm {sgemm_rate() / 1e9:.0f} GFLOP/s; milliseconds a face or photo\n")
    print(table(("work", "dlib-bin or face_recognition", "this encoder", "ratio", ""), rows))
    held = all(float(str(row[3]).rstrip("x")) > FASTER_TIMES for row in networks)
    print(f"\neach network more than {FASTER_TIMES} times faster than dlib's: {'yes' if held else 'NO'}")
    return held


def _by_the_package(package: Any, image: bytes) -> Any:
    return package.face_encodings(package.load_image_file(io.BytesIO(image)))


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:.1f}"


def _times(theirs: float, ours: float) -> str:
    return f"{theirs / ours:.1f}x"
