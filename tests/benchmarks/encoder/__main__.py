"""The commands behind `make bench-encoder` and `make soak-encoder`."""

import argparse
import sys
from pathlib import Path


def main(argv: list[str]) -> int:
    """Run one command."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.encoder")
    commands = parser.add_subparsers(dest="command", required=True)
    bench = commands.add_parser("bench", help="speed, accuracy and the service's overhead")
    bench.add_argument("parts", nargs="*", help="speed, service, accuracy, memory; by default all of them")
    bench.add_argument("--photos", type=Path, help="a folder with more photos, people/NAME/*.jpg")
    soak = commands.add_parser("soak", help="overload and hostile input")
    soak.add_argument("parts", nargs="*", help="overload, fuzz; by default both")
    soak.add_argument("--seconds", type=float, default=300.0, help="how long to overload")
    soak.add_argument("--inputs", type=int, default=100_000, help="how many inputs to mutate")
    given = parser.parse_args(argv)
    parts = given.parts or (
        ["speed", "service", "accuracy", "memory"] if given.command == "bench" else ["overload", "fuzz"]
    )
    held = [_run(part, given) for part in parts]
    return int(not all(held))


def _run(part: str, given: argparse.Namespace) -> bool:
    """Run one part; returns whether its goals were met."""
    from tests.benchmarks.encoder import accuracy, fuzz, memory, overload, service, speed

    print(f"\n## {part}\n", flush=True)
    if part == "speed":
        return speed.run()
    elif part == "service":
        service.run()
    elif part == "accuracy":
        accuracy.run(given.photos, [(480, 960), (640, 1280), (960, 1280)])
    elif part == "overload":
        return overload.run(given.seconds)
    elif part == "fuzz":
        return fuzz.run(given.inputs)
    elif part == "memory":
        memory.run()
    else:
        sys.exit(f"there is no part {part}")
    return True


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
