"""The addresses that the stack will listen on, checked before anything is started."""

import dataclasses
import ipaddress
import socket

from facerec.serving.server import address
from facerec.serving.server.address import Address
from facerec.serving.server.errors import AddressInUse


def check(text: str, *, insecure: bool, option: str) -> Address:
    """Parse an address and check that it is free; port 0 is replaced by a free port.

    `option` is the command's option that names another address. Raises AddressInvalid, InsecureAddress, and
    AddressInUse if another process listens there.
    """
    wanted = address.parse(text)
    address.check_insecure(wanted, insecure=insecure)
    try:
        [(family, kind, _, _, socket_address), *_] = socket.getaddrinfo(
            wanted.host, wanted.port, type=socket.SOCK_STREAM
        )
        with socket.socket(family, kind) as listener:
            # As gRPC does: a port that was closed just now is free.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(socket_address)
            return dataclasses.replace(wanted, port=listener.getsockname()[1])
    except OSError as error:
        cause = error.strerror or error
        raise AddressInUse(f"cannot listen on {wanted}: {cause}: name another with {option}") from None


def from_here(listened: Address) -> Address:
    """The address at which this machine reaches a server that listens on `listened`."""
    try:
        host = ipaddress.ip_address(listened.host)
    except ValueError:  # a name
        return listened
    if not host.is_unspecified:
        return listened
    return dataclasses.replace(listened, host="127.0.0.1" if host.version == 4 else "::1")
