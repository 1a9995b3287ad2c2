"""Channel options that keep gRPC from using the proxies that the environment names."""

from collections.abc import Sequence

NO_PROXY: Sequence[tuple[str, str | int]] = (
    ("grpc.enable_http_proxy", 0),  # http_proxy, https_proxy, grpc_proxy
    ("grpc.address_http_proxy_enabled_addresses", ""),  # GRPC_ADDRESS_HTTP_PROXY, which the first leaves on
)
"""Images and keys must not pass through a proxy; to one, a loopback address is the proxy's own."""
