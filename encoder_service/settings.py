"""The encoder's settings: each field's docstring is its `--help`."""

from pathlib import Path

import pydantic
from pydantic_settings import SettingsConfigDict

from encoder_service import cores
from encoder_service.dlib_weights import cache
from facerec.serving.settings import ServingSettings


class EncoderSettings(ServingSettings):
    """What the encoder is told at its start."""

    model_config = SettingsConfigDict(env_prefix="ENCODER_")

    address: str = "127.0.0.1:50051"
    """HOST:PORT to listen on; port 0 lets the system choose."""

    model_cache_dir: Path = pydantic.Field(default_factory=cache.default_folder)
    """Folder for the converted network; by default under the user's cache home."""

    weights_dir: Path | None = None
    """Folder with dlib's .dat files; by default that of the installed face_recognition_models."""

    threads: int = pydantic.Field(default_factory=cores.count, ge=1, le=1024)
    """Images worked on at once, and threads of the network; by default the cores this process may use."""

    max_images: int = pydantic.Field(64, ge=1, le=65536)
    """Images under way at once, waiting ones included; more are refused as OVERLOADED."""

    max_image_bytes: int = pydantic.Field(16 * 1024 * 1024, ge=1024, le=2**30)
    """Largest encoded image, in bytes."""

    max_pixels: int = pydantic.Field(64_000_000, ge=1, le=1_000_000_000)
    """Largest width times height of an image, in pixels, read from its header before it is decoded."""

    @pydantic.model_validator(mode="after")
    def _check_sizes(self) -> "EncoderSettings":
        if self.max_image_bytes > self.max_request_bytes:
            raise ValueError("max_image_bytes is more than max_request_bytes, the largest message received")
        return self
