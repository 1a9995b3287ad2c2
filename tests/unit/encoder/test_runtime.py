"""ONNX Runtime's telemetry stays off, in any environment and any program."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.fixtures.process import ROOT
from tests.fixtures.watching.environment import fresh


@pytest.mark.parametrize("said", [None, "0", "", "false"])
def test_importing_the_encoder_leaves_nothing_in_the_users_home(tmp_path: Path, said: str | None) -> None:
    environment = fresh(tmp_path) | ({} if said is None else {"ORT_DISABLE_TELEMETRY": said})
    subprocess.run(
        [sys.executable, "-c", "import encoder_service.embedding.device"],
        env=environment,
        cwd=ROOT,
        check=True,
    )
    assert [*(tmp_path / "home").iterdir(), *(tmp_path / "tmp").iterdir()] == []
