"""Gateways that answer Rekognition's calls."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.e2e.gateway.rekognition.calling import ACCESS_KEY, SECRET
from tests.fixtures.gateway import GatewayProcess


def write_keys(path: Path, secrets: Mapping[str, str]) -> Path:
    """Write a file of access keys, atomically, as Kubernetes and editors do."""
    entries = [
        f'[[keys]]\naccess_key_id = "{key}"\nsecret_access_key = "{secret}"\n'
        for key, secret in secrets.items()
    ]
    new = path.with_suffix(".new")
    new.write_text("\n".join(entries))
    new.chmod(0o600)
    new.rename(path)
    return path


@pytest.fixture(scope="module")
def rekognition(
    encoder_address: str, matcher_address: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """HOST:PORT of a gateway with an access key, before the session's services, which take no keys."""
    keys = write_keys(tmp_path_factory.mktemp("rekognition") / "keys.toml", {ACCESS_KEY: SECRET})
    process = GatewayProcess(encoder_address, matcher_address, "--rekognition-keys-file", str(keys))
    try:
        yield process.address
    finally:
        code = process.stop()
    assert code == 0
