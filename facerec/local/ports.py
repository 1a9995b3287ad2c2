"""Addresses the stack will listen on, looked at before anything is started."""

import dataclasses
import ipaddress
import socket

from facerec.serving.server import address
from facerec.serving.server.address import Address
from facerec.serving.server.errors import AddressInUse


def find(text: str, *, insecure: bool, option: str) -> Address:
    """Return the address `text` names, port 0 replaced by a free one; `option` is what names another.

    Raises AddressInvalid, InsecureAddress, or AddressInUse while another process listens there.
    """
    wanted = address.parse(text)
    address.check_insecure(wanted, insecure=insecure)
    try:
        [(family, kind, _, _, place), *_] = socket.getaddrinfo(
            wanted.host, wanted.port, type=socket.SOCK_STREAM
        )
        with socket.socket(family, kind) as probe:
            probe.setsockopt(
                socket.SOL_SOCKET, socket.SO_REUSEADDR, 1
            )  # as gRPC does: a port just left is free
            probe.bind(place)
            return dataclasses.replace(wanted, port=probe.getsockname()[1])
    except OSError as error:
        cause = error.strerror or error
        raise AddressInUse(f"cannot listen on {wanted}: {cause}: name another with {option}") from None


def from_here(listened: Address) -> Address:
    """Return the address by which this machine reaches a server that listens on `listened`."""
    try:
        host = ipaddress.ip_address(listened.host)
    except ValueError:  # a name
        return listened
    if not host.is_unspecified:
        return listened
    return dataclasses.replace(listened, host="127.0.0.1" if host.version == 4 else "::1")
