"""Why no service answered at an address, in words that say what to change.

gRPC calls a service that is not serving yet, and one of another kind, just unavailable. So the address is
looked at once more: a connection, whether TLS is spoken there, and its health.
"""

import socket
import ssl
from typing import Final

import grpc

from facerec.client import Security
from facerec.client.channel import ENCODER_SERVICE, MATCHER_SERVICE, target
from facerec.proxies import NO_PROXY
from facerec.tls_errors import tls_errors

LOOK_SECONDS: Final = 3.0
SERVICES: Final = {"encoder": ENCODER_SERVICE, "matcher": MATCHER_SERVICE}
SERVING: Final = "SERVING"
UNKNOWN_CALL: Final = "UNIMPLEMENTED"
"""How a server answers a call that it does not have, as one of the other service."""

_SERVING: Final = b"\x08\x01"
_OWN_SCHEMES: Final = ("unix:", "unix-abstract:", "ipv4:", "ipv6:", "dns:")


def cause(service: str, address: str, details: str, security: Security) -> str:
    """What keeps `service` (encoder or matcher) from answering; `details` is what gRPC said of it."""
    start = f"start it with `facerec up`, or name another with --{service} or FACEREC_{service.upper()}"
    if address.startswith(_OWN_SCHEMES):
        return tls_errors(details) or start
    host, _, port_text = address.rpartition(":")  # its form was checked by the client
    host, port = host.strip("[]"), int(port_text)
    fault = (
        _of_connection(service, host, port, start)
        or _of_tls(details, host, port, security)
        or _of_health(service, address, security)
    )
    if fault == SERVING and UNKNOWN_CALL in details:
        return "it is of a release that does not have this call: bring it to this one's"
    return "it is ready by now: try again" if fault == SERVING else fault or start


def _of_connection(service: str, host: str, port: int, start: str) -> str:
    """Why no connection comes about; "" where one does."""
    try:
        socket.create_connection((host, port), timeout=LOOK_SECONDS).close()
    except socket.gaierror:
        return f"no machine is known by the name {host}: look at its spelling, and at --{service}"
    except ConnectionRefusedError:
        return f"nothing listens there: {start}"
    except OSError as error:
        said = (error.strerror or "it did not take a connection in time").lower()
        return f"{host} can't be reached ({said}): look at its address, and at firewalls between"
    return ""


def _of_tls(details: str, host: str, port: int, security: Security) -> str:
    """Where one side speaks TLS and the other doesn't, or a certificate is not to be trusted."""
    if security.is_tls:
        trouble = tls_errors(details)
        plain = "plain text" in trouble
        return f"{trouble}; unset FACEREC_TLS and FACEREC_TLS_..." if plain else trouble
    if _speaks_tls(host, port):
        return "it speaks TLS: name the CA of its certificate by FACEREC_TLS_CA_FILE, or set FACEREC_TLS=1"
    return ""


def _speaks_tls(host: str, port: int) -> bool:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False  # nothing is sent: only the kind of what listens is asked
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    try:
        with (
            socket.create_connection((host, port), timeout=LOOK_SECONDS) as connection,
            context.wrap_socket(connection, server_hostname=host),
        ):
            return True
    except ssl.SSLError as error:
        return "ALERT" in str(error.reason)  # of TLS: it refuses this handshake
    except OSError:
        return False


def _of_health(service: str, address: str, security: Security) -> str:
    """What the address says of its own health, which takes no key; SERVING where nothing is wrong with it."""
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
        return f"what listens there is no facerec service: name another with --{service}"
    if health[service] == _SERVING:
        return SERVING
    if health[service] is not None:
        return "it is not serving yet: it waits for its model or its database, as its log says"
    if health[other] is not None:
        return f"the {other} listens there: give the {service}'s address as --{service}, or start it"
    return ""


def _health(channel: grpc.Channel, full_name: str) -> bytes | None:
    """The answer of grpc.health.v1 for a service; None where it is not of that server."""
    name = full_name.encode()
    request = b"\x0a" + bytes([len(name)]) + name  # HealthCheckRequest.service, without its package
    ask = channel.unary_unary("/grpc.health.v1.Health/Check", lambda raw: raw, lambda raw: raw)
    try:
        answer: bytes = ask(request, timeout=LOOK_SECONDS)
    except grpc.RpcError as error:
        if error.code() is grpc.StatusCode.NOT_FOUND:
            return None
        raise
    return answer
