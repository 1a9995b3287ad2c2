"""`python -m tests.soak.replication [PART ...]`: prints figures; exit code 1 where a promise was broken."""

import argparse
import sys
from collections.abc import Callable

from tests.benchmarks.matcher.tables import Table
from tests.soak.replication import failovers, faults, freshness
from tests.soak.replication.cluster import cluster
from tests.soak.replication.matchers import matchers

BLOCK = 500  # rounds, after which figures are printed
COLUMNS = ("fault", "calls", "failed", "stale", "reads", "went on elsewhere", "used again, s")


def check_freshness(given: argparse.Namespace) -> bool:
    """Changes, and searches for them elsewhere, while standbys are late at random."""
    passed = True
    with cluster() as servers, matchers(servers.url, servers.read_urls) as running:
        for block in range(-(-given.rounds // BLOCK)):
            rounds = min(BLOCK, given.rounds - block * BLOCK)
            outcome = freshness.run(servers, running, rounds, seed=block + 1)
            print(outcome.summary(), flush=True)
            passed = passed and outcome.passed
    return passed


def fail_over(given: argparse.Namespace) -> bool:
    """Failovers while a standby confirms each commit, while none does, and that over a slow network."""
    with cluster() as servers:
        urls = f"{servers.read_urls} {servers.primary.url()}"
        with matchers(servers.url, urls) as running:
            passed = []
            for synchronous, late in ((True, False), (False, False), (False, True)):
                outcome = failovers.run(servers, running, given.failovers, synchronous=synchronous, late=late)
                network = ", late network" if late else ""
                print(f"{'' if synchronous else 'a'}synchronous{network}: {outcome.summary()}", flush=True)
                passed.append(outcome.passed and not (synchronous and any(outcome.lost)))
    return all(passed)


def break_standby(given: argparse.Namespace) -> bool:
    """The faults of a standby, one by one."""
    seen = {}
    with faults.stage() as (servers, front, running):
        for name, each in faults.run(servers, front, running, seconds=given.seconds):
            print(*each.row(name), sep=" | ", flush=True)
            seen[name] = each
    rows = [each.row(name) for name, each in seen.items()]
    print(Table("Faults of one of two standbys", COLUMNS, rows).text())
    return all(each.passed for each in seen.values())


PARTS: dict[str, Callable[[argparse.Namespace], bool]] = {
    "freshness": check_freshness,
    "failovers": fail_over,
    "faults": break_standby,
}


def main() -> int:
    """Run the parts."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak.replication", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; all if none")
    parser.add_argument(
        "--rounds", type=int, default=7000, help="of three changes, each searched for at once"
    )
    parser.add_argument("--failovers", type=int, default=20, help="of each kind")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each fault, at least")
    given = parser.parse_args()
    if unknown := set(given.parts) - set(PARTS):
        parser.error(f"there is no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    passed = [PARTS[name](given) for name in given.parts or PARTS]
    return int(not all(passed))


if __name__ == "__main__":
    sys.exit(main())
