"""The encoder's own parts in this process, one image at a time: no queue, no gRPC, no event loop."""

import dataclasses
from pathlib import Path

import numpy as np
import numpy.typing as npt

from encoder_service.decoding.header import ImageLimits
from encoder_service.detection.detector import HogDetector
from encoder_service.detection.mmod import network
from encoder_service.detection.mmod.detector import CnnDetector
from encoder_service.domain.faces import Detection, DetectorName, EncodeOptions
from encoder_service.embedding import network as embedding
from encoder_service.embedding.device import CPU, Device
from encoder_service.embedding.dlib_weights import files
from encoder_service.embedding.network import EmbeddingNetwork
from encoder_service.pipeline.alignment import Aligner
from encoder_service.pipeline.quality import QualityAssessor, Thresholds
from encoder_service.pipeline.scanner import Scanner, SearchSizes
from facerec.quality import Quality

ROOT = Path(__file__).parents[3]
MODELS = ROOT / ".cache" / "models"

FULL = EncodeOptions(full_resolution=True)
DEFAULT = EncodeOptions()

Vectors = npt.NDArray[np.float32]


@dataclasses.dataclass(frozen=True, eq=False)
class Found:
    """A face of an image and its vector, (128,)."""

    detection: Detection
    quality: Quality
    vector: Vectors


@dataclasses.dataclass(frozen=True)
class Engine:
    """A scanner and the network behind it."""

    scanner: Scanner
    embedding: EmbeddingNetwork
    cnn: CnnDetector

    def encode(self, image: bytes, options: EncodeOptions = DEFAULT) -> list[Found]:
        """Go from bytes to vectors, as one image of the service does."""
        scan = self.scanner.scan(image, options)
        if not scan.chips:
            return []
        vectors = self.embedding.embed(np.stack(scan.chips))
        return list(map(Found, scan.detections, scan.qualities, vectors))


def build(*, threads: int = 1, search_sizes: SearchSizes | None = None) -> Engine:
    """Load everything with networks of that many threads."""
    paths, device = files.find(), Device(CPU, threads)
    cnn = network.load(files.read(paths.mmod), device, cache_folder=MODELS)
    detector = CnnDetector(cnn.details, lambda built: cnn.score([built])[0], max_pixels=10**9)
    hog = HogDetector(max_pixels=10**9, cache_folder=MODELS)
    scanner = Scanner(
        limits=ImageLimits(),
        detectors={DetectorName.HOG: hog, DetectorName.CNN: detector},
        aligner=Aligner(paths.landmarks_5),
        assessor=QualityAssessor(Thresholds()),
        search_sizes=search_sizes or SearchSizes(),
    )
    scanner.warm_up()
    return Engine(scanner, embedding.load(files.read(paths.resnet), device, cache_folder=MODELS), detector)
