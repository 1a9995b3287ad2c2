"""`python -m tests.soak.service [PART...]`: rolling, faults, crashes, hostile, endurance, upgrading; or all.

Prints what was seen, and ends with 1 where any of it is wrong.
"""

import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from facerec.samples import cache_folder, sample_photos
from tests.soak.service import crash, endurance, expiry, faults, hostile, rolling, upgrading
from tests.soak.service.stack import Stack

TIMES = 3
FAULT_SECONDS = 5.0
FRAMES = 50_000
IDLE = 1000
ENDURANCE_SECONDS = 20 * 60.0
LOAD_SHARE = 0.7
WORKERS = 16
PACE_SECONDS = 15.0
MEMORY_BYTES = 64 * 2**20
UPGRADE_CALLS = 5000
MAX_P99_RATIO = 2.0  # the maximum p99 beside hostile callers, as a multiple of the quiet p99


def photo() -> Path:
    """A photo with one face."""
    return sample_photos(cache_folder()) / "obama.jpg"


def roll() -> bool:
    """Replace every replica three times."""
    with Stack.open() as stack:
        found = rolling.roll(stack, photo(), times=TIMES)
    print(
        f"rolling: {found.replaced} replaced, {found.seen.calls} calls, "
        f"{found.seen.failures.total()} failed {dict(found.seen.failures)}, {found.seen.wrong} wrong, "
        f"longest {found.seen.longest_seconds:.2f} s; {found.enrolled} enrolled, {found.lost} lost"
    )
    return found.passed


def run_faults() -> bool:
    """Every fault, one after another, over one stack, and what expires over another one that is locked."""
    print("| fault | fired | calls | failed | wrong | lost | longest | normal after |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    passed, internal = True, []
    with Stack.open() as stack:
        for fault in faults.FAULTS.values():
            if fault.name == "disk full" and not faults.can_mount(stack.folder):
                print(f"| {fault.name} | skipped: no file system can be made here | | | | | | |")
                continue
            passed = (
                _row(faults.inject(stack, fault, photo(), seconds=fault.seconds or FAULT_SECONDS)) and passed
            )
        internal += stack.internal_errors()
    with tempfile.TemporaryDirectory() as folder:
        locks = expiry.Locks.make(Path(folder))
        with Stack.open(matcher=locks.flags) as stack:
            for fault in expiry.faults(locks):
                found = faults.inject(stack, fault, photo(), seconds=FAULT_SECONDS, security=locks.security)
                passed = _row(found) and passed
            internal += stack.internal_errors()
    print(f"unexpected errors: {len(internal)}")
    return passed and not internal


def _row(found: faults.Result) -> bool:
    reasons = ", ".join(f"{count} {reason}" for reason, count in found.seen.failures.items()) or "0"
    print(
        f"| {found.fault.name} | {'yes' if found.fired else 'NO'} | {found.seen.calls} | {reasons} | "
        f"{found.seen.wrong} | {found.lost} | {found.seen.longest_seconds:.2f} s | "
        f"{found.seen.recovery_seconds:.2f} s |{'' if found.passed else ' FAILED'}",
        flush=True,
    )
    return found.passed


def crashes() -> bool:
    """An encoder that crashes in native code, under `facerec up`."""
    image = photo().read_bytes()
    found = {number.name: crash.crash(number, image) for number in crash.CRASHES}
    for name, seconds in found.items():
        print(f"crash by {name}: the encoder answered again after {seconds:.1f} s")
    return max(found.values()) <= crash.BACK_SECONDS


def attack() -> bool:
    """Hostile traffic against one matcher of two."""
    with Stack.open() as stack:
        found = hostile.attack(stack, frames=FRAMES, idle=IDLE)
    print(
        f"hostile: {found.frames} frames, {found.connections} idle connections; alive {found.alive}, healthy "
        f"callers' p99 {1000 * found.p99:.1f} ms against {1000 * found.quiet_p99:.1f} ms "
        f"({found.p99 / found.quiet_p99:.2f} times), {found.failures} failed; memory "
        f"{found.memory_growth_bytes / 2**20:+.1f} MiB, {found.internal_errors} unexpected errors, "
        f"nothing lost {found.intact}"
    )
    small = found.memory_growth_bytes < MEMORY_BYTES
    quick = found.p99 <= MAX_P99_RATIO * found.quiet_p99
    return (
        quick and found.alive and small and found.intact and not found.internal_errors and not found.failures
    )


def run_long() -> bool:
    """Twenty minutes at seven tenths of the load that saturates."""
    with Stack.open() as stack:
        pace = endurance.pace(stack, photo(), share=LOAD_SHARE, workers=WORKERS, seconds=PACE_SECONDS)
        print(f"saturated at {pace.saturated_rate:.0f} calls a second", flush=True)
        found = endurance.run(
            stack, photo(), seconds=ENDURANCE_SECONDS, workers=WORKERS, pause_seconds=pace.pause_seconds
        )
        internal = stack.internal_errors()
    rate = found.calls / found.seconds
    print(
        f"endurance: {found.seconds / 60:.0f} min, {found.calls} calls, {rate:.0f} a second, "
        f"{100 * rate / pace.saturated_rate:.0f} % of what saturates; "
        f"{found.failures.total()} failed {dict(found.failures)}, {found.wrong} wrong, {found.lost} lost, "
        f"longest {found.longest_seconds:.2f} s, {len(internal)} unexpected"
    )
    for each in found.processes:
        print(
            f"  {each.name}: {each.first_mib:.1f} -> {each.last_mib:.1f} MiB, {each.mib_an_hour:+.1f} an "
            f"hour (noise {each.noise_mib:.2f}), files {each.files}, threads {each.threads}, flat {each.flat}"
        )
    flat = all(each.flat for each in found.processes)
    return flat and not (found.failures or found.wrong or found.lost or internal)


def upgrade() -> bool:
    """One release after another over one database; UPGRADE_FROM names the commit of the older one."""
    commit = os.environ.get("UPGRADE_FROM", "")
    found = upgrading.upgrade(calls=UPGRADE_CALLS, older_commit=commit)
    print(
        f"upgrading: {commit or 'this release'}, schema {found.versions[0]} to {found.versions[1]} and back: "
        f"{found.seen.calls} calls, {found.seen.failures.total()} failed {dict(found.seen.failures)}, "
        f"{found.seen.wrong} wrong, longest {found.seen.longest_seconds:.2f} s; {found.enrolled} enrolled, "
        f"{found.lost} lost; refused the schema {found.refusals} times"
    )
    return found.passed


PARTS: dict[str, Callable[[], bool]] = {
    "rolling": roll,
    "faults": run_faults,
    "crashes": crashes,
    "hostile": attack,
    "endurance": run_long,
    "upgrading": upgrade,
}


def main(names: list[str]) -> int:
    """Run the parts that are named."""
    found = [PARTS[name]() for name in names or PARTS]  # each of them, whatever another one found
    return int(not all(found))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
