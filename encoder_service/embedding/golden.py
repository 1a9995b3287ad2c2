"""The golden chip: a generated face chip, the same on every machine, and dlib's vector of it.

It is embedded at each start, as a self-test. A network whose vector differs from dlib's would fill a database
with encodings that match nobody.
"""

from pathlib import Path
from typing import Final

import dlib
import numpy as np

from encoder_service.domain.errors import ModelDrift
from encoder_service.embedding.device import Precision
from encoder_service.embedding.network import CHIP_PIXELS, Chips, EmbeddingNetwork, Encodings

MAX_DRIFT: Final = {Precision.FLOAT32: 1e-4, Precision.TF32: 1.6e-3, Precision.FP16: 2.2e-3}
"""The largest accepted L2 distance from dlib's vector: twice the measured drift of each precision."""


def chip() -> Chips:
    """Generate the chip, uint8 (150, 150, 3), with integer arithmetic only."""
    y, x, channel = np.mgrid[0:CHIP_PIXELS, 0:CHIP_PIXELS, 0:3]
    pattern = 7 * x * x + 3 * y * y + 5 * x * y + 61 * channel * (x + y)
    values: Chips = (pattern // (64 + 32 * channel) % 256).astype(np.uint8)
    return values


def expected(name: str, resnet: Path) -> Encodings:
    """dlib's vector of the chip, float32 (128,): recorded for the known network, else computed by dlib."""
    if name in _RECORDED:
        return np.array(_RECORDED[name], dtype=np.float32)
    network = dlib.face_recognition_model_v1(str(resnet))
    return np.array(network.compute_face_descriptor(chip()), dtype=np.float32)


def check(embedding: EmbeddingNetwork, vector: Encodings, precision: Precision = Precision.FLOAT32) -> None:
    """Embed the chip and compare. Raises ModelDrift where the result is too far from `vector`."""
    (actual,) = embedding.embed(chip()[None])
    drift = float(np.linalg.norm(actual - vector))
    if not drift <= MAX_DRIFT[precision]:  # a NaN fails too
        raise ModelDrift(
            f"the network's vector of the golden chip is {drift:.2g} from dlib's; at most "
            f"{MAX_DRIFT[precision]} is accepted"
        )


# Recorded from dlib 20.0.1's compute_face_descriptor.
# fmt: off
_RECORDED: Final = {"dlib-resnet-v1": (
    -0.105700076, 0.16451718, 0.10254231, -0.033579774, -0.104420155, -0.019733315, -0.12742548,
    -0.030372731, 0.111116, -0.047849808, 0.24050929, -0.039650656, -0.22205527, 0.029608088,
    -0.047125194, 0.119335614, -0.14901297, -0.07781021, -0.100097135, -0.08926482, 0.016984077,
    0.0075381533, -0.005077719, 0.06399563, -0.06387645, -0.29341018, -0.057609092, -0.112972796,
    0.047198556, -0.18659471, 0.01616986, -0.021651369, -0.15775387, -0.021016892, -0.023819959,
    0.056171417, 0.037032403, -0.10801518, 0.112798326, -0.055754807, -0.17880775, -0.03344422,
    0.067767836, 0.27098873, 0.15037061, 0.09781843, 0.0038602222, -0.044475503, 0.0840312, -0.21748683,
    0.03242545, 0.111222506, 0.017435206, 0.08572643, 0.056275524, -0.2158329, 0.016801767, 0.057902955,
    -0.124323264, 0.0295275, 0.045848355, -0.04502601, -0.031120433, -0.14799687, 0.2957847, 0.12950476,
    -0.116925806, -0.15710303, 0.12029173, -0.1663455, -0.045666043, 0.11776, -0.10758112, -0.12514332,
    -0.23624562, 0.06556609, 0.33685827, 0.15347591, -0.12989269, 0.016800761, -0.06700981,
    -0.029250415, -0.033921465, 0.11488905, -0.051915664, 0.07605974, -0.062477656, 0.039805252,
    0.20705736, -0.038028784, 0.024435164, 0.21133308, -0.042636506, -0.017218396, -0.027997412,
    0.035685424, -0.12330014, 0.007875281, -0.089711525, -0.0065878686, 0.07970191, -0.05341781,
    -0.0057813297, 0.08223246, -0.18650082, 0.07310107, -0.027712736, -0.008891826, 0.003335163,
    0.05236697, -0.05653775, -0.066720456, 0.21971461, -0.25384527, 0.21323168, 0.19902529, 0.09870018,
    0.10686512, 0.06122537, 0.12671125, 0.0100910915, -0.02504178, -0.12735555, -0.06350337,
    0.014952077, -0.07180178, -0.013950898, 0.028423976,
)}
# fmt: on
