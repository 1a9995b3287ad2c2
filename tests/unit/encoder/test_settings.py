"""The encoder's settings are consistent."""

from pathlib import Path

import pytest

from encoder_service.settings import EncoderSettings
from facerec.serving.server.errors import SettingsInvalid
from facerec.serving.server.settings_loading import load


def test_an_image_limit_beyond_the_largest_message_is_refused() -> None:
    with pytest.raises(SettingsInvalid, match="max_image_bytes"):
        load(
            EncoderSettings,
            ["--max-image-bytes", "2000000", "--max-request-bytes", "1000000"],
            prog="encoder",
        )


def test_the_cache_is_in_the_users_cache_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert load(EncoderSettings, [], prog="encoder").model_cache_dir == tmp_path / "facerec" / "models"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert load(EncoderSettings, [], prog="encoder").model_cache_dir == tmp_path / ".cache/facerec/models"


def test_the_environment_sets_what_no_flag_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENCODER_MAX_IMAGES", "3")
    assert load(EncoderSettings, [], prog="encoder").max_images == 3
    assert load(EncoderSettings, ["--max-images", "5"], prog="encoder").max_images == 5
