"""Finds out why no service answered at an address, and what to change.

gRPC reports a service that is not serving yet, or another kind of service, only as unavailable. So the
address is checked: whether it accepts a connection, whether it uses TLS, and what its health service answers.
"""

import socket
import ssl
from typing import Final

import grpc

from facerec.client import Security
from facerec.client.channel import ENCODER_SERVICE, MATCHER_SERVICE, target
from facerec.proxies import NO_PROXY
from facerec.tls_errors import tls_errors

CHECK_SECONDS: Final = 3.0
"""The timeout of each check."""

SERVICES: Final = {"encoder": ENCODER_SERVICE, "matcher": MATCHER_SERVICE}
SERVING: Final = "SERVING"
UNKNOWN_CALL: Final = "UNIMPLEMENTED"
"""The status of a call that the server does not have, such as one of the other service."""

_SERVING: Final = b"\x08\x01"
_OWN_SCHEMES: Final = ("unix:", "unix-abstract:", "ipv4:", "ipv6:", "dns:")


def cause(service: str, address: str, details: str, security: Security) -> str:
    """Why `service` (encoder or matcher) does not answer; `details` are those of the gRPC status."""
    start = f"start it with `facerec up`, or give its address with --{service} or FACEREC_{service.upper()}"
    if address.startswith(_OWN_SCHEMES):
        return tls_errors(details) or start
    host, _, port_text = address.rpartition(":")  # its form was checked by the client
    host, port = host.strip("[]"), int(port_text)
    fault = _connection_fault(service, host, port, start) or _tls_fault(details, host, port, security)
    if fault:
        return fault
    state = _health_state(service, address, security)
    if state != SERVING:
        return state or start
    if UNKNOWN_CALL in details:
        return "its release does not have this call: upgrade it to the release of this command"
    return "it is ready now: try again"


def _connection_fault(service: str, host: str, port: int, start: str) -> str:
    """Why the address accepts no connection; "" if it does."""
    try:
        socket.create_connection((host, port), timeout=CHECK_SECONDS).close()
    except socket.gaierror:
        return f"the host name {host} is unknown: check its spelling, and --{service}"
    except ConnectionRefusedError:
        return f"nothing listens there: {start}"
    except OSError as error:
        reason = (error.strerror or "it did not accept a connection in time").lower()
        return f"{host} can't be reached ({reason}): check its address, and firewalls between"
    return ""


def _tls_fault(details: str, host: str, port: int, security: Security) -> str:
    """Whether only one side uses TLS, or a certificate is not trusted; "" if neither."""
    if security.is_tls:
        trouble = tls_errors(details)
        plain = "plain text" in trouble
        return f"{trouble}; unset FACEREC_TLS and FACEREC_TLS_..." if plain else trouble
    if _speaks_tls(host, port):
        return "it uses TLS: set FACEREC_TLS_CA_FILE to the CA of its certificate, or FACEREC_TLS=1"
    return ""


def _speaks_tls(host: str, port: int) -> bool:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False  # nothing is sent: only whether the server uses TLS is checked
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    try:
        with (
            socket.create_connection((host, port), timeout=CHECK_SECONDS) as connection,
            context.wrap_socket(connection, server_hostname=host),
        ):
            return True
    except ssl.SSLError as error:
        return "ALERT" in str(error.reason)  # a TLS alert: the server refuses this handshake
    except OSError:
        return False


def _health_state(service: str, address: str, security: Security) -> str:
    """SERVING, or the fault that the health service shows, which needs no key; "" if it shows neither."""
    other = next(name for name in SERVICES if name != service)
    try:
        channel = (
            grpc.secure_channel(target(address), security.credentials(), [*NO_PROXY, *security.options()])
            if security.is_tls
            else grpc.insecure_channel(target(address), list(NO_PROXY))
        )
        with channel:
            health = {name: _health(channel, full_name) for name, full_name in SERVICES.items()}
    except grpc.RpcError:
        return f"it is not a facerec service: give the {service}'s address with --{service}"
    if health[service] == _SERVING:
        return SERVING
    if health[service] is not None:
        return "it is not serving yet: it waits for its model or its database, as its log says"
    if health[other] is not None:
        return f"it is the {other}: give the {service}'s address with --{service}, or start it"
    return ""


def _health(channel: grpc.Channel, full_name: str) -> bytes | None:
    """The answer of grpc.health.v1 for a service; None if the server does not have that service."""
    name = full_name.encode()
    request = b"\x0a" + bytes([len(name)]) + name  # HealthCheckRequest.service, encoded by hand
    ask = channel.unary_unary("/grpc.health.v1.Health/Check", lambda raw: raw, lambda raw: raw)
    try:
        answer: bytes = ask(request, timeout=CHECK_SECONDS)
    except grpc.RpcError as error:
        if error.code() is grpc.StatusCode.NOT_FOUND:
            return None
        raise
    return answer
