"""The GPU's name, and how busy and full it is while a part runs, by nvidia-smi."""

import dataclasses
import shutil
import subprocess
import threading
import time
from typing import Final

_FIELDS: Final = "utilization.gpu,memory.used,power.draw,clocks.sm"


@dataclasses.dataclass(frozen=True)
class Sample:
    """A reading: seconds since the start, percent of the time, MiB, watts, MHz."""

    seconds: float
    utilisation: float
    memory_mib: float
    watts: float
    clock_mhz: float


def name() -> str:
    """The GPU's name, driver and memory; "" where nvidia-smi says nothing."""
    if not shutil.which("nvidia-smi"):
        return ""
    command = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    return said.stdout.strip().splitlines()[0] if said.returncode == 0 and said.stdout.strip() else ""


class Sampler:
    """Reads the GPU once a second from `start` to `stop`; without nvidia-smi it has no samples."""

    def __init__(self) -> None:
        self.samples: list[Sample] = []
        self._process: subprocess.Popen[str] | None = None
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._began = time.monotonic()

    def start(self) -> None:
        """Begin, where there is nvidia-smi."""
        if shutil.which("nvidia-smi"):
            command = ["nvidia-smi", f"--query-gpu={_FIELDS}", "--format=csv,noheader,nounits", "-l", "1"]
            self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
            self._reader.start()

    def stop(self) -> None:
        """End."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
            self._reader.join()

    def summary(self, begin: float, end: float) -> str:
        """The mean and the most of the samples between two times of time.monotonic."""
        chosen = [each for each in self.samples if begin <= each.seconds + self._began <= end]
        if not chosen:
            return ""
        busy = [each.utilisation for each in chosen]
        memory = max(each.memory_mib for each in chosen)
        return f"GPU busy {sum(busy) / len(busy):.0f} %, at most {max(busy):.0f} %; {memory:,.0f} MiB at most"

    def _read(self) -> None:
        assert self._process is not None and self._process.stdout is not None
        for line in self._process.stdout:
            try:
                values = [float(each) for each in line.split(",")]
                self.samples.append(Sample(time.monotonic() - self._began, *values))
            except (TypeError, ValueError):  # a field that this card does not have
                continue
