"""Channel options that keep gRPC from the proxies which the environment may name."""

from collections.abc import Sequence

NO_PROXY: Sequence[tuple[str, str | int]] = (
    ("grpc.enable_http_proxy", 0),  # http_proxy and its kin
    ("grpc.address_http_proxy_enabled_addresses", ""),  # GRPC_ADDRESS_HTTP_PROXY, which the first leaves on
)
"""Neither images of faces nor keys go through a proxy, to which a loopback address is another machine's."""
