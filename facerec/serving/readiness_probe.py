"""`python -I -S readiness_probe.py HOST:PORT`: ends with 0 if the admin port there says ready, with 1 if not.

For the HEALTHCHECK of an image, which runs it by its path. It imports next to nothing, because importing gRPC
takes twenty times the CPU of the whole check, and the module `socket` more than starting Python.
"""

import _socket
import sys

WAIT_SECONDS = 3.0


def is_ready(address: str) -> bool:
    """Whether the admin port at `address`, IPV4:PORT, answers that every service is SERVING.

    False if nothing listens, or no answer comes within `WAIT_SECONDS`.
    """
    host, _, port = address.rpartition(":")
    connection = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)
    connection.settimeout(WAIT_SECONDS)
    try:
        connection.connect((host, int(port)))
        connection.sendall(b"GET /readyz HTTP/1.0\r\n\r\n")
        return connection.recv(64).split()[1:2] == [b"200"]
    except OSError:
        return False
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(0 if is_ready(sys.argv[1]) else 1)
