"""`facerec measure-recall`."""

from typing import Annotated

import typer

from facerec.cli.terminal import output
from facerec.cli.terminal.options import (
    MATCHER_ADDRESS,
    Collection,
    Json,
    Matcher,
    MaxStaleness,
    collection_client,
)
from facerec.cli.terminal.repeating import RequestId, asked_for_again
from facerec.contract import DEFAULT_COLLECTION_ID

TIMEOUT_SECONDS = 600


def measure_recall(
    samples: Annotated[
        int, typer.Option(min=0, max=1000, help="Searches to compare, 20 or more; 0 is 200.")
    ] = 0,
    request_id: RequestId = "",
    max_staleness: MaxStaleness = None,
    collection: Collection = DEFAULT_COLLECTION_ID,
    address: Matcher = MATCHER_ADDRESS,
    json: Json = False,
) -> None:
    """Measure the recall of the index against exact searches."""
    with (
        collection_client(address, collection_id=collection) as client,
        asked_for_again(request_id) as chosen,
    ):
        found = client.with_options(timeout_seconds=TIMEOUT_SECONDS).measure_recall(
            samples=samples,
            max_staleness_seconds=max_staleness,
            request_id=chosen,
            collection_id=collection,
        )
    if json:
        output.as_json(output.fields(found))
    elif not found.indexed:
        output.line("no index: every answer is exact")
    elif not found.samples:
        output.line("too few people to measure on")
    else:
        shares = (
            ("recall: the index alone finds the nearest", found.recall),
            ("far recall: for faces unlike the person's others", found.far_recall),
            ("Identify agrees with an exact scan", found.agreement),
            ("Identify ran an exact scan", found.confirmed),
        )
        rows = [
            (name, f"{100 * share.value:.2f} %", f"{100 * share.low:.2f} to {100 * share.high:.2f} %")
            for name, share in shares
            if share
        ]
        output.table((f"of {found.samples} searches", "share", "95 %"), rows)
