"""A name server that knows no name and prints each that it is asked for; it runs in a container."""

import socket

HEADER_BYTES = 12
NO_SUCH_NAME = b"\x81\x83"


def name(question: bytes) -> str:
    """The name that a question, the text after the header, asks for."""
    labels = []
    while length := question[0]:
        labels.append(question[1 : length + 1].decode("ascii", "replace"))
        question = question[length + 1 :]
    return ".".join(labels)


def main() -> None:
    """Answer until killed."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        listening.bind(("", 53))
        print("listening", flush=True)
        while True:
            asked, address = listening.recvfrom(4096)
            print(name(asked[HEADER_BYTES:]), flush=True)
            listening.sendto(asked[:2] + NO_SUCH_NAME + asked[4:6] + bytes(6) + asked[HEADER_BYTES:], address)


if __name__ == "__main__":
    main()
