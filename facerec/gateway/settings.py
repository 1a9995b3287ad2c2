"""The gateway's settings; each field's docstring is its `--help` text."""

from pathlib import Path
from typing import Literal

import pydantic
from pydantic_settings import SettingsConfigDict

from facerec.client import Security
from facerec.contract import DEFAULT_COLLECTION_ID
from facerec.serving.server.settings import ListeningSettings


class GatewaySettings(ListeningSettings):
    """The settings of the gateway."""

    model_config = SettingsConfigDict(env_prefix="GATEWAY_")

    address: str = "127.0.0.1:8080"
    """HOST:PORT to listen on; port 0 lets the system choose."""

    insecure: bool = False
    """Allow plain text on an address that other machines can reach, and to services on other machines."""

    encoder_address: str = "127.0.0.1:50051"
    """HOST:PORT of the encoder, or a gRPC target."""

    matcher_address: str = "127.0.0.1:50052"
    """HOST:PORT of the matcher, or a gRPC target."""

    services_tls_ca_file: Path | None = None
    """PEM file of the CA that signed the services' certificates; setting it enables TLS to both."""

    services_tls_cert_file: Path | None = None
    """PEM file of the gateway's client certificate, for services that require one. With it the gateway
    refuses calls without an API key, so that nobody gets the permissions of the gateway's certificate."""

    services_tls_key_file: Path | None = None
    """PEM file of that certificate's key."""

    services_server_name: str = ""
    """Name to expect in the services' certificates, if it is not the addresses' host."""

    allowed_hosts: str = ""
    """Names under which the gateway may be called, without a port, separated by blanks, such as
    faces.example; hosts of allowed_origins may be called too. By default any name, and on a loopback address
    loopback names. It refuses pages whose host's name was made to lead to the gateway's address."""

    allowed_origins: str = ""
    """Origins of web pages that may call the gateway from a browser, such as https://door.example, separated
    by blanks. Pages of any other origin are refused, except the gateway's own."""

    console: Literal["auto", "on", "off"] = "auto"
    """Whether to serve the console, web pages at /console/: on, off, or auto, which is on for a loopback
    address and with TLS. With auto, beyond loopback and without tls_client_ca_file, its pages refuse to work
    before services that require no key."""

    session_hours: float = pydantic.Field(8.0, gt=0, le=720)
    """How long a browser that has signed in to the console may use the key, in hours."""

    session_secret_file: Path | None = None
    """File of the secrets that seal sessions of the console, one a line of 32 characters or more: the first
    seals, all open. Reloaded when it changes. Without it the secret is random: sessions end with the process,
    and other replicas do not know them."""

    rekognition_keys_file: Path | None = None
    """TOML file of access keys, each with the API key that it stands for; setting it answers Amazon
    Rekognition's calls about faces (docs/rekognition.md). It is reloaded when it changes."""

    max_calls: int = pydantic.Field(256, ge=1, le=65536)
    """Requests in flight at once; more are refused as OVERLOADED. One host has at most three requests in
    flight for each free place, which is three quarters of all where it is alone."""

    max_bytes_in_flight: int = pydantic.Field(128 * 1024 * 1024, ge=1024, le=2**40)
    """Most bytes that the bodies of all requests may take together, as far as they have arrived; at least
    max_request_bytes. A host with more than one request leaves bytes to others. A request beyond the limit is
    refused as OVERLOADED. A body takes several times its size in memory while it is processed. Answers that
    clients have not read yet share half as many bytes."""

    max_call_seconds: float = pydantic.Field(60.0, gt=0, le=3600)
    """Longest that a unary call without a deadline may take, and that a body may take to arrive, in seconds;
    in a stream it is the time between two messages. A client may take as long to read 64 KiB of an answer."""

    compreface_paths: bool = False
    """Answer the paths of CompreFace's API too, under /api/v1/."""

    compreface_collection: str = pydantic.Field(DEFAULT_COLLECTION_ID, pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")
    """The collection of requests to CompreFace's paths whose key is not limited to a single one."""

    def security(self) -> Security:
        """The settings of the connections to the services."""
        return Security(
            ca_file=self.services_tls_ca_file,
            cert_file=self.services_tls_cert_file,
            key_file=self.services_tls_key_file,
            server_name=self.services_server_name,
        )

    def origins(self) -> frozenset[str]:
        """The allowed origins."""
        return frozenset(self.allowed_origins.split())

    def hosts(self) -> frozenset[str]:
        """The allowed hosts' names."""
        return frozenset(self.allowed_hosts.split())
