"""The encoder's doctor about a cache of converted networks that it may not write."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from encoder_service.doctor import examine_cache
from encoder_service.embedding.dlib_weights import cache, files
from encoder_service.settings import EncoderSettings

NOBODY = 65534


@contextlib.contextmanager
def unwritable(folder: Path) -> Iterator[None]:
    """A folder that this process may only read: for root as another user, whom modes stop."""
    folder.chmod(0o555)
    for file in folder.iterdir():
        file.chmod(0o444)
    as_root = os.geteuid() == 0
    try:
        if as_root:
            os.seteuid(NOBODY)
        yield
    finally:
        if as_root:
            os.seteuid(0)
        folder.chmod(0o755)


@pytest.mark.skipif(not hasattr(os, "seteuid"), reason="POSIX's modes")
def test_a_read_only_cache_is_in_order_once_it_has_both_networks() -> None:
    paths = files.find(None, large_landmarks=False)
    with tempfile.TemporaryDirectory(prefix="facerec-test-") as name:
        folder = Path(name)
        settings = EncoderSettings.model_validate({"model_cache_dir": folder})
        cache.fetch(folder, files.read(paths.resnet), lambda _: b"converted")
        with unwritable(folder):
            assert examine_cache(settings, paths).state == "warn", "the detector would be converted each time"
        cache.fetch(folder, files.read(paths.mmod), lambda _: b"converted")
        with unwritable(folder):
            found = examine_cache(settings, paths)
        assert (found.state, str(folder) in found.text) == ("ok", True)
        assert examine_cache(settings, paths).text == str(folder)
