"""The command behind `scripts/gpu_check` and `make gpu-check`."""

import argparse
import dataclasses
import datetime
import json
import os
import platform
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from tests.benchmarks.encoder.tables import table
from tests.benchmarks.gpu import card, machine
from tests.benchmarks.gpu.rows import Row

PARTS: Final = {"networks": 180, "failures": 90, "detection": 60, "serving": 150}
"""Each part and the most seconds that it may take, within those of all."""
SECONDS: Final = 450
SITE: Final = machine.ROOT / ".cache" / "gpu-site"
PHOTOS: Final = machine.ROOT / ".cache" / "samples"


def main(argv: Sequence[str]) -> int:
    """Name what is missing, or run the parts, print the table and write the JSON."""
    parser = _parser()
    given = parser.parse_args(argv)
    if unknown := [part for part in given.parts if part not in PARTS]:
        parser.error(f"there is no part {unknown[0]}")
    gpu = given.provider == "cuda"
    if given.wheels and (refusal := _unpack(given.wheels)):
        print(refusal, file=sys.stderr)
        return 2
    python_path = [str(SITE), *sys.path]  # packages that an earlier run unpacked, too
    lacking = machine.missing(python_path, weights=given.weights, gpu=gpu, photos=PHOTOS)
    if lacking:
        print("missing here:", *lacking, sep="\n  ", file=sys.stderr)
        return 2
    machine.register(SITE)
    return _check(given, machine.environment(SITE, given.weights, gpu=gpu))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="gpu_check", description="Measure and break the encoder on a GPU.")
    parser.add_argument("--provider", choices=("cuda", "cpu"), default="cuda", help="cpu: a rehearsal")
    parser.add_argument("--wheels", type=Path, help="a folder of wheels, whole or in parts, to unpack")
    parser.add_argument("--weights", type=Path, help="a folder of dlib's .dat files")
    parser.add_argument("--json", type=Path, default=Path("gpu-check.json"), help="where figures are written")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="for all parts together")
    parser.add_argument("parts", nargs="*", help=f"{', '.join(PARTS)}; by default all of them")
    return parser


def _unpack(wheels: Path) -> str:
    """Unpack the wheels; returns why not, "" where they were."""
    size = machine.wheels_mib(wheels)
    print(f"wheels: {size:,.0f} MiB of at most {machine.MAX_WHEELS_MIB}", flush=True)
    if size > machine.MAX_WHEELS_MIB:
        return "the wheels are too large; NVIDIA's libraries of this machine are used, not wheels of them"
    machine.unpack(wheels, SITE)
    return ""


def _check(given: argparse.Namespace, environment: Mapping[str, str]) -> int:
    sampler = card.Sampler()
    sampler.start()
    ends = time.monotonic() + given.seconds
    rows: list[Row] = []
    for part in given.parts or PARTS:
        begin = time.monotonic()
        rows += _run(part, given.provider, environment, max(0.0, min(PARTS[part], ends - begin)))
        if busy := sampler.summary(begin, time.monotonic()):
            rows.append(Row("the GPU", f"during {part}", busy))
    sampler.stop()
    about = _about(environment)
    cells = [(row.part, row.what, row.figure, row.verdict, row.note) for row in rows]
    print("\n" + ", ".join(f"{key} {value}" for key, value in about.items()) + "\n")
    print(table(("part", "what", "figure", "verdict", ""), cells))
    samples = [dataclasses.asdict(each) for each in sampler.samples]
    found = {**about, "rows": [dataclasses.asdict(row) for row in rows], "samples": samples}
    given.json.write_text(json.dumps(found, indent=1) + "\n")
    return int(any(row.verdict == "FAILED" for row in rows))


def _run(part: str, provider: str, environment: Mapping[str, str], seconds: float) -> Iterator[Row]:
    """The rows of a part, which has processes of its own; they are ended when its time is over."""
    command = [sys.executable, "-m", f"tests.benchmarks.gpu.{part}", provider]
    with subprocess.Popen(
        command,
        cwd=machine.ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        timer = threading.Timer(seconds, os.killpg, (process.pid, signal.SIGKILL))
        timer.start()
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("{"):
                row = Row(**json.loads(line))
                print(f"  {row.part}: {row.what}: {row.figure} {row.verdict}", flush=True)
                yield row
        code = process.wait()
        timer.cancel()
    if code:
        over = f"its {seconds:.0f} seconds were over" if code < 0 else f"it ended with status {code}"
        yield Row(part, "not finished", over, "FAILED")


def _about(environment: Mapping[str, str]) -> dict[str, Any]:
    versions = "import onnxruntime; print(onnxruntime.__version__)"
    environment = {**environment, "ORT_DISABLE_TELEMETRY": "1"}
    said = subprocess.run(
        [sys.executable, "-c", versions], env=environment, capture_output=True, text=True, check=False
    )
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "GPU": card.name() or "none",
        "cores": len(os.sched_getaffinity(0)),
        "Python": platform.python_version(),
        "ONNX Runtime": said.stdout.strip(),
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
