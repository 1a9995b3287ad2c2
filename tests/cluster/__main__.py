"""Checks the overlays on a cluster: `python -m tests.cluster --kubeconfig FILE [OVERLAY ...]`."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from facerec.samples import sample_photos
from tests.cluster import objects
from tests.cluster.kubectl import Kubectl, KubectlFailed
from tests.cluster.overlay import check
from tests.fixtures.process import ROOT

ALL = sorted(path.name for path in objects.OVERLAYS.iterdir())
IMAGES = ("facerec-encoder", "facerec-encoder-gpu", "facerec-gateway", "facerec-matcher")


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line's arguments."""
    parser = argparse.ArgumentParser(prog="make check-cluster", description=__doc__)
    parser.add_argument("overlays", nargs="*", metavar="OVERLAY", help=f"of {', '.join(ALL)}; default: all")
    parser.add_argument("--kubeconfig", type=Path, required=True, help="the file that leads to the cluster")
    for name in IMAGES:
        parser.add_argument(f"--{name}", metavar="REFERENCE", help=f"the image in the place of {name}")
    found = parser.parse_args(argv)
    if not found.kubeconfig.is_file():
        parser.error(f"there is no file {found.kubeconfig}")
    if unknown := sorted({*found.overlays} - {*ALL}):
        parser.error(f"there is no overlay {unknown[0]}: there are {', '.join(ALL)}")
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Check each overlay; exit code 1 if one failed."""
    found = arguments(argv)
    given = {name: getattr(found, name.replace("-", "_")) for name in IMAGES}
    images = {name: reference for name, reference in given.items() if reference}
    photos = sample_photos(ROOT / ".cache" / "samples")
    failed = 0
    for overlay in found.overlays or ALL:
        try:
            check(Kubectl(found.kubeconfig), overlay, images, photos)
        except (KubectlFailed, AssertionError) as error:
            print(f"{overlay}: FAILED: {error}", flush=True)
            failed += 1
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
