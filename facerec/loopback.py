"""Whether an address is a loopback address, where plain text is safe."""

import ipaddress

_LOCAL_SCHEMES = ("unix:", "unix-abstract:")
_ADDRESS_SCHEMES = ("ipv4:", "ipv6:")
_DNS = "dns:///"  # a DNS server named between the slashes could resolve a name to any address


def is_loopback_host(host: str) -> bool:
    """Whether a host is `localhost` or a loopback address written in full, IPv4-mapped ones included.

    `host` is without port and brackets. Any other name may resolve to any address, such as `127.example.com`,
    and so may forms that only some resolvers read as an address: `127.1`, `0x7f000001`, a trailing dot, a
    zone.
    """
    if host == "localhost":
        return True
    try:
        found = ipaddress.ip_address(host)
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address):
        return not found.scope_id and (found.ipv4_mapped or found).is_loopback
    return found.is_loopback


def is_loopback_target(target: str) -> bool:
    """Whether all addresses of a gRPC target are loopback addresses or Unix sockets.

    False for a target in any other form: another scheme, percent-encoding, user information, a DNS server of
    its own.
    """
    if target.startswith(_LOCAL_SCHEMES):
        return True
    for scheme in _ADDRESS_SCHEMES:
        if target.startswith(scheme):
            return all(is_loopback_host(_host(part)) for part in target.removeprefix(scheme).split(","))
    return target.startswith(_DNS) and is_loopback_host(_host(target.removeprefix(_DNS)))


def _host(address: str) -> str:
    """The host of `HOST`, `HOST:PORT`, `[IPV6]` or `[IPV6]:PORT`; empty for any other text."""
    if address.startswith("["):
        host, bracket, port = address[1:].partition("]")
        known = bracket and ":" in host and (not port or (port[0] == ":" and _is_port(port[1:])))
        return host if known else ""
    if address.count(":") != 1:
        return address  # a name, or an IPv6 address without a port
    host, _, port = address.partition(":")
    return host if _is_port(port) else ""


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 5
