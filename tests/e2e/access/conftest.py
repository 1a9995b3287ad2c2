"""Fixtures for keys files, and certificates of a CA made for the test."""

import dataclasses
import datetime
import hashlib
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path
from typing import Any

import grpc.aio
import pytest
import trustme

from encoder_service.api.roles import ROLES
from encoder_service.api.servicer import SERVICE_NAME, EncoderServicer
from encoder_service.settings import EncoderSettings
from facerec.client import AsyncMatcherClient, Security
from facerec.encoder.v1 import encoder_pb2_grpc
from facerec.errors import FacerecError, Reason
from facerec.serving.server.server import Server, Service
from tests.fixtures.matcher import RunningMatcher

YESTERDAY = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)


def entry(name: str, key: str, roles: Iterable[str], more: str = "") -> str:
    """A key's part of the file."""
    digest = hashlib.sha256(key.encode()).hexdigest()
    listed = ", ".join(f'"{role}"' for role in roles)
    return f'[[keys]]\nname = "{name}"\nsha256 = "{digest}"\nroles = [{listed}]\n{more}\n'


def bearer(key: str) -> tuple[tuple[str, str], ...]:
    """The metadata of a call with a key."""
    return (("authorization", f"Bearer {key}"),)


async def known(matcher: RunningMatcher, key: str) -> bool:
    """Whether the matcher knows a key yet: it checks the file periodically."""
    async with AsyncMatcherClient(matcher.address, security=Security(api_key=key)) as client:
        try:
            await client.get_person("nobody")
        except FacerecError as error:
            return error.reason is not Reason.KEY_UNKNOWN
    return True


@dataclasses.dataclass(frozen=True)
class Authority:
    """A certificate authority and a folder for what it signs."""

    ca: trustme.CA
    folder: Path

    @property
    def ca_file(self) -> Path:
        path = self.folder / "ca.pem"
        self.ca.cert_pem.write_to_path(str(path))
        return path

    def issue(self, stem: str, *names: str, expired: bool = False) -> tuple[Path, Path]:
        """A certificate of these names and its key, as files."""
        made = self.ca.issue_cert(*names, common_name=names[0], not_after=YESTERDAY if expired else None)
        cert, key = self.folder / f"{stem}.pem", self.folder / f"{stem}.key"
        cert.write_bytes(b"".join(part.bytes() for part in made.cert_chain_pems))
        key.write_bytes(made.private_key_pem.bytes())
        return cert, key


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(trustme.CA(), tmp_path)


@pytest.fixture
def keys_file(tmp_path: Path) -> Callable[..., Path]:
    """Writes a keys file atomically, as Kubernetes and editors do."""

    def write(*entries: str) -> Path:
        path = tmp_path / "keys.toml"
        draft = tmp_path / "keys.draft"
        draft.write_text("\n".join(entries))
        return draft.rename(path)

    return write


@pytest.fixture
async def start_encoder() -> AsyncIterator[Callable[..., Any]]:
    """Starts an encoder's server without models: enough to test admission."""
    started: list[Server] = []

    async def start(**settings: Any) -> Server:
        chosen = EncoderSettings.model_validate({"address": "127.0.0.1:0", "grace_seconds": 0.1} | settings)
        servicer = EncoderServicer(chosen)

        def register(server: grpc.aio.Server) -> None:
            encoder_pb2_grpc.add_EncoderServiceServicer_to_server(servicer, server)

        server = Server(chosen.server_options(), [Service(SERVICE_NAME, register, ROLES)])
        await server.start()
        started.append(server)
        return server

    yield start
    for server in started:
        await server.stop()
