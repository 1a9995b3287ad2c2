"""The gateway's server: its socket, TLS, admin port, and its graceful end."""

import asyncio
import contextlib
import dataclasses
import logging
import socket
import ssl
from collections.abc import AsyncIterator, Generator

import structlog
import uvicorn

from facerec import certificates
from facerec.certificates import CertificatesInvalid
from facerec.gateway import connections
from facerec.gateway.app import Gateway
from facerec.gateway.compreface.site import CompreFaceSite
from facerec.gateway.console import availability
from facerec.gateway.console.session import Sealer
from facerec.gateway.console.sessions import Sessions
from facerec.gateway.console.site import PATH, ConsoleSite
from facerec.gateway.forwarding import Forwarder
from facerec.gateway.rekognition.site import RekognitionSite
from facerec.gateway.services import Services
from facerec.gateway.settings import GatewaySettings
from facerec.gateway.short_paths.site import ShortPathSite
from facerec.gateway.sites import Site
from facerec.serving.auth.files import POLL_SECONDS, WatchedFiles
from facerec.serving.server import address
from facerec.serving.server.admin import Admin
from facerec.serving.server.errors import AddressInUse, SettingsInvalid

BACKLOG = 1024
log = structlog.get_logger(__name__)


class _Uvicorn(uvicorn.Server):
    """A uvicorn server that leaves signals to the process."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Do nothing."""
        yield


class GatewayServer:
    """The server of a gateway, from its settings.

    Raises AddressInvalid, InsecureAddress and SettingsInvalid; `running` raises AddressInUse.
    """

    def __init__(self, settings: GatewaySettings) -> None:
        self._settings = settings
        self._address = address.parse(settings.address)
        self._tls = _Tls(settings) if _has_tls(settings) else None
        if self._tls is None:
            address.check_insecure(self._address, insecure=settings.insecure)
        self._services = Services(
            settings.encoder_address,
            settings.matcher_address,
            security=settings.security(),
            insecure=settings.insecure,
            max_message_bytes=settings.max_request_bytes,
        )
        forwarder = Forwarder(self._services, settings.max_call_seconds)
        loopback = self._address.is_loopback
        self.console_refusal = availability.refusal(settings, is_loopback=loopback)
        self._sessions = (
            None if self.console_refusal else _sessions(settings, forwarder, is_loopback=loopback)
        )
        sites = _sites(settings, forwarder, self._sessions)
        self._app = Gateway(
            settings, self._services, forwarder, sites, sessions=self._sessions, loopback=loopback
        )
        self._admin = (
            Admin(settings.admin_address, self._services.readiness, insecure=settings.insecure)
            if settings.admin_address
            else None
        )

    @property
    def address(self) -> str:
        """The `HOST:PORT` listened on."""
        return str(self._address)

    @property
    def console_url(self) -> str | None:
        """The console's URL at that address; None if it is not served, and `console_refusal` says why."""
        return f"{'https' if self._tls else 'http'}://{self._address}{PATH}" if self._sessions else None

    @property
    def admin_address(self) -> str | None:
        """`HOST:PORT` of the admin port; None if there is none."""
        return self._admin.address if self._admin else None

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Listen and answer meanwhile.

        At the end new connections are refused, and calls in flight have `grace_seconds` to end.
        """
        with self._listen() as listener:
            self._address = dataclasses.replace(self._address, port=listener.getsockname()[1])
            if self._admin:
                self._admin.start()
            async with self._services.opened():
                server = self._server()
                serving = asyncio.create_task(server.serve(sockets=[listener]))
                watched = [each for each in (self._tls, self._sessions) if each]
                renewing = [asyncio.create_task(each.watch()) for each in watched]
                try:
                    yield
                finally:
                    self._services.announce_end()
                    await asyncio.sleep(self._settings.drain_seconds)
                    server.should_exit = True
                    await serving
                    for task in renewing:
                        task.cancel()
                    self._app.access_log.close()
                    if self._admin:
                        await asyncio.to_thread(self._admin.stop)

    def _listen(self) -> socket.socket:
        try:
            return socket.create_server(
                (self._address.host, self._address.port),
                family=socket.AF_INET6 if ":" in self._address.host else socket.AF_INET,
                backlog=BACKLOG,
            )
        except OSError as error:
            raise AddressInUse(f"cannot listen on {self._address}: {error.strerror}") from None

    def _server(self) -> uvicorn.Server:
        # Its messages may quote what callers sent; the gateway logs failures itself.
        logging.getLogger("uvicorn").disabled = logging.getLogger("uvicorn.error").disabled = True
        config = uvicorn.Config(
            self._app,
            http=connections.protocol(),  # type: ignore[arg-type]
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=int(connections.HEAD_SECONDS),
            timeout_graceful_shutdown=max(1, round(self._settings.grace_seconds)),
            h11_max_incomplete_event_size=connections.MAX_HEAD_BYTES,
            ssl_context_factory=(lambda *_: self._tls.context) if self._tls else None,  # type: ignore[union-attr]
        )
        return _Uvicorn(config)


def _sessions(settings: GatewaySettings, forwarder: Forwarder, *, is_loopback: bool) -> Sessions:
    sealer = Sealer(settings.session_secret_file, max(1, round(settings.session_hours * 3600)))
    keys_expected = availability.expects_keys(settings, is_loopback=is_loopback)
    return Sessions(sealer, forwarder, keys_expected=keys_expected)


def _sites(settings: GatewaySettings, forwarder: Forwarder, sessions: Sessions | None) -> list[Site]:
    """Who answers which paths, beside every method at its own; without sessions there is no console.

    Raises SettingsInvalid.
    """
    sites: list[Site] = [ShortPathSite(forwarder)]
    if sessions:
        sites.append(ConsoleSite(sessions))
    if settings.compreface_paths:
        collection_id, max_seconds = settings.compreface_collection, settings.max_call_seconds
        sites.append(CompreFaceSite(forwarder, collection_id, max_seconds))
    if settings.rekognition_keys_file:
        keys_file, seconds = settings.rekognition_keys_file, settings.max_call_seconds
        sites.append(RekognitionSite(keys_file, forwarder, max_call_seconds=seconds))
    return sites


def _has_tls(settings: GatewaySettings) -> bool:
    cert, key, client_ca = settings.tls_cert_file, settings.tls_key_file, settings.tls_client_ca_file
    if bool(cert) != bool(key) or (client_ca and not cert):
        raise SettingsInvalid("TLS needs tls_cert_file and tls_key_file together")
    return cert is not None


class _Tls:
    """TLS from the certificate files, which are loaded again when they change. Raises SettingsInvalid."""

    def __init__(self, settings: GatewaySettings) -> None:
        assert settings.tls_cert_file is not None
        assert settings.tls_key_file is not None
        self._cert, self._key, self._client_ca = (
            settings.tls_cert_file,
            settings.tls_key_file,
            settings.tls_client_ca_file,
        )
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self._client_ca:
            self.context.verify_mode = ssl.CERT_REQUIRED
        paths = [path for path in (self._cert, self._key, self._client_ca) if path]
        try:
            self._files = WatchedFiles(paths, self._load, name="certificates")
        except CertificatesInvalid as error:
            setting = "tls_client_ca_file" if error.field == "ca_file" else f"tls_{error.field}"
            raise SettingsInvalid(f"{setting}: {error}") from None

    def _load(self) -> None:
        """Load the files; connections from now on use them."""
        certificates.read_pair(self._cert, self._key)
        if self._client_ca:
            certificates.read_authorities(self._client_ca)
            self.context.load_verify_locations(self._client_ca)
        self.context.load_cert_chain(self._cert, self._key)

    async def watch(self) -> None:
        """Reload what changes, until cancelled."""
        while True:
            await asyncio.sleep(POLL_SECONDS)
            if self._files.reload_if_changed():
                log.info("certificates_reloaded")
