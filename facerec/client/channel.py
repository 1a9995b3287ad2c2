"""Target and options of a client's channel to a service: retries, message sizes, keepalive.

The clients use it. Use it too for a channel of your own to a service:
`grpc.aio.insecure_channel(target(address), options=channel_options(ENCODER_SERVICE))`.
"""

import json
import re
from collections.abc import Mapping, Sequence

from facerec.errors import FacerecError, Reason
from facerec.proxies import NO_PROXY

ENCODER_SERVICE = "facerec.encoder.v1.EncoderService"
MATCHER_SERVICE = "facerec.matcher.v1.MatcherService"
COLLECTION_SERVICE = "facerec.matcher.v1.CollectionService"

# The RPCs that the contract calls safe to retry.
RETRIED: Mapping[str, Sequence[str]] = {
    ENCODER_SERVICE: ("Encode", "DetectFaces", "GetModel", "GetCaller"),
    MATCHER_SERVICE: (
        "Enroll",
        "Verify",
        "Identify",
        "Compare",
        "GetPerson",
        "BatchGetPersons",
        "ListPersons",
        "UpdatePerson",
        "MoveFaces",
        "ExportPerson",
        "DeletePerson",
        "BatchDeletePersons",
        "ListFaces",
        "GetFace",
        "UpdateFace",
        "DeleteFace",
        "GetErasure",
        "GetImport",
        "ExportFaces",
    ),
    COLLECTION_SERVICE: (
        "GetCollection",
        "ListCollections",
        "UpdateCollection",
        "DeleteCollection",
        "Calibrate",
        "ApplyCalibration",
        "MeasureRecall",
        "ListDuplicates",
        "ListInconsistentFaces",
        "DismissDuplicate",
        "ListAuditEvents",
        "GetCaller",
    ),
}

MAX_MESSAGE_BYTES = 48 * 1024 * 1024
KEEPALIVE_SECONDS = 30
KEEPALIVE_TIMEOUT_SECONDS = 10
MIN_RESOLUTION_SECONDS = 1
"""Shortest time between two DNS queries, which are made when a connection is lost. With gRPC's default of 30
seconds, calls would fail that long after a replica was replaced by one at another address."""
MAX_RECONNECT_SECONDS = 5
"""Longest wait between two attempts to connect to an unreachable replica; gRPC's default is two minutes."""


_HOST_AND_PORT = re.compile(r"(\[[^\[\]]+\]|[^\[\]:,/]+):(\d{1,5})")
_WEB = ("http://", "https://", "grpc://", "grpcs://")
_SCHEMES = ("dns:", "ipv4:", "ipv6:")  # whose addresses have a port each


def check_address(address: str, service: str) -> None:
    """Raises FacerecError OPTION_INVALID where an address has no port, or is a web address.

    gRPC would use port 443 for the former and resolve the latter as a host name.
    """
    if address.startswith(_WEB):
        scheme = address.partition("//")[0]
        tls = "for TLS set FACEREC_TLS=1 in the environment, or Security(tls=True) in code"
        raise _address_invalid(address, f"leave out {scheme}//; {tls}")
    scheme = next((name for name in _SCHEMES if address.startswith(name)), "")
    if not scheme and target(address) == address:
        return  # a socket's path, or a scheme of the caller's own
    rest = address.removeprefix(scheme).rpartition("/")[2] if scheme else address
    for part in rest.split(",") if scheme else [rest]:
        found = _HOST_AND_PORT.fullmatch(part)
        if found is None or not 0 < int(found[2]) <= 65535:
            port = 50051 if service == ENCODER_SERVICE else 50052
            raise _address_invalid(address, f"give HOST:PORT, such as 127.0.0.1:{port} or [::1]:{port}")


def _address_invalid(address: str, fix: str) -> FacerecError:
    return FacerecError(f"address {address!r}: {fix}", reason=Reason.OPTION_INVALID, field="address")


def target(address: str) -> str:
    """The gRPC target of an address.

    Args:
        address: `HOST:PORT`; or a target of gRPC's own, such as `unix:/run/facerec.sock` or, for replicas
            without a common name, `ipv4:10.0.0.1:50052,10.0.0.2:50052`.

    Returns:
        A target that leads to every address of the host's name, resolved again when a connection is lost;
        gRPC's own is returned as it is.

    Example:
        >>> target("faces.internal:50051"), target("unix:/run/facerec.sock")
        ('dns:///faces.internal:50051', 'unix:/run/facerec.sock')
    """
    named = "://" in address or address.startswith(("unix:", "unix-abstract:", "ipv4:", "ipv6:"))
    return address if named else f"dns:///{address}"


def service_config(service: str) -> str:
    """The gRPC service config of a service, as JSON.

    Calls go round-robin to the replicas that report SERVING. A call that ends as UNAVAILABLE is sent up to
    four times in all, within about a second, and less often where most calls fail.

    Args:
        service: ENCODER_SERVICE, MATCHER_SERVICE or COLLECTION_SERVICE.
    """
    return json.dumps(
        {
            "loadBalancingConfig": [{"round_robin": {}}],
            "healthCheckConfig": {"serviceName": service},
            "methodConfig": [
                {
                    "name": [{"service": service, "method": method} for method in RETRIED[service]],
                    "retryPolicy": {
                        "maxAttempts": 4,
                        "initialBackoff": "0.1s",
                        "maxBackoff": "1s",
                        "backoffMultiplier": 3,
                        "retryableStatusCodes": ["UNAVAILABLE"],
                    },
                }
            ],
            "retryThrottling": {"maxTokens": 100, "tokenRatio": 0.5},
        }
    )


def channel_options(service: str) -> list[tuple[str, str | int]]:
    """The options of a channel to a service: retries, message sizes, keepalive, no proxy.

    Args:
        service: ENCODER_SERVICE, MATCHER_SERVICE or COLLECTION_SERVICE.

    Returns:
        Pairs of a gRPC channel argument and its value, sizes in bytes and times in milliseconds.

    Example:
        >>> options = channel_options(MATCHER_SERVICE)
        >>> with grpc.insecure_channel(target("127.0.0.1:50052"), options) as channel:
        ...     response = MatcherServiceStub(channel).GetPerson(GetPersonRequest(person_id="ann"), timeout=5)
        >>> response.person.person_id
        'ann'
    """
    return [
        ("grpc.service_config", service_config(service)),
        # A request larger than this buffer is not retried, and an image is larger than gRPC's default.
        ("grpc.per_rpc_retry_buffer_size", MAX_MESSAGE_BYTES),
        ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
        ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
        ("grpc.keepalive_time_ms", KEEPALIVE_SECONDS * 1000),
        ("grpc.keepalive_timeout_ms", KEEPALIVE_TIMEOUT_SECONDS * 1000),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_pings_without_data", 0),
        ("grpc.max_reconnect_backoff_ms", MAX_RECONNECT_SECONDS * 1000),
        ("grpc.dns_min_time_between_resolutions_ms", MIN_RESOLUTION_SECONDS * 1000),
        # Otherwise a new client would wait for the reconnect delay of another one to the same address.
        ("grpc.use_local_subchannel_pool", 1),
        *NO_PROXY,
    ]
