"""How many cores this process may use."""

import math
import os
from pathlib import Path


def count(cgroup: Path = Path("/sys/fs/cgroup")) -> int:
    """The smaller of the scheduler's affinity and the cgroup's CPU quota, at least 1.

    The host's number of cores would be wrong in a container with a quota: too many threads would compete.
    """
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _quota(cgroup)
    return max(1, affinity if quota is None else min(affinity, math.ceil(quota)))


def _quota(cgroup: Path) -> float | None:
    """Cores allowed by cgroup v2 (`cpu.max`) or v1 (`cpu.cfs_*`); None where there is no limit."""
    try:
        limit, period = (cgroup / "cpu.max").read_text().split()
    except (OSError, ValueError):
        try:
            limit = (cgroup / "cpu" / "cpu.cfs_quota_us").read_text().strip()
            period = (cgroup / "cpu" / "cpu.cfs_period_us").read_text().strip()
        except OSError:
            return None
    if limit in ("max", "-1"):
        return None
    return int(limit) / int(period)
