"""The address that a server listens on, and which addresses need --insecure."""

import dataclasses

from facerec.loopback import is_loopback_host
from facerec.serving.server.errors import AddressInvalid, InsecureAddress


@dataclasses.dataclass(frozen=True)
class Address:
    """A host and a TCP port (0 lets the system choose)."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether it can be reached from this machine only."""
        return is_loopback_host(self.host)


def parse(text: str) -> Address:
    """Parse `HOST:PORT` or `[IPV6]:PORT`. Raises AddressInvalid."""
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise AddressInvalid(f"address {text!r} is not HOST:PORT, such as 127.0.0.1:50051")
    return Address(host, int(port))


def check_insecure(address: Address, *, insecure: bool) -> None:
    """Refuse plain text on an address that other machines can reach. Raises InsecureAddress."""
    if not address.is_loopback and not insecure:
        raise InsecureAddress(
            f"{address} can be reached from other machines and the service speaks plain text there: set "
            "tls_cert_file and tls_key_file, listen on 127.0.0.1, or pass --insecure if the network keeps "
            "others out"
        )
