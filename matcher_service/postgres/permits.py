"""The admission limits in front of the connections to the primary."""

import dataclasses

from matcher_service.admission import FairSemaphore, three_quarters_of
from matcher_service.domain.status import Queue
from matcher_service.postgres.connections.pools import DatabaseOptions

BULK_WAIT_SECONDS = 30.0  # for a chunk of an import, which takes about a tenth of one


@dataclasses.dataclass(frozen=True)
class Permits:
    """A semaphore for each kind of work. `reviews` (Calibrate, ListDuplicates) go on to `scans`."""

    calls: FairSemaphore
    searches: FairSemaphore
    scans: FairSemaphore
    reviews: FairSemaphore
    transfers: FairSemaphore
    exports: FairSemaphore

    def queues(self) -> list[Queue]:
        """The state of each."""
        return [getattr(self, field.name).queue() for field in dataclasses.fields(self)]

    @classmethod
    def of(cls, options: DatabaseOptions) -> "Permits":
        """As many permits as there are connections, or fewer where some are left to other work."""
        exports = max(1, options.transfer_pool_size - 1)
        wait_seconds = options.pool_wait_seconds
        return cls(
            # A wait for a row's lock holds a connection for seconds, so one caller may not hold all of them.
            calls=FairSemaphore(
                options.pool_max_size,
                wait_seconds=wait_seconds,
                kind="call",
                share=three_quarters_of(options.pool_max_size),
            ),
            searches=FairSemaphore(options.search_pool_size, wait_seconds=wait_seconds, kind="index"),
            scans=FairSemaphore(options.scan_pool_size, wait_seconds=options.scan_wait_seconds, kind="scan"),
            # "maintenance" is the metrics' label, which dashboards use.
            reviews=FairSemaphore(
                max(1, options.scan_pool_size - 1),
                wait_seconds=options.scan_timeout_seconds,
                kind="maintenance",
            ),
            transfers=FairSemaphore(
                options.transfer_pool_size, wait_seconds=BULK_WAIT_SECONDS, kind="transfer"
            ),
            exports=FairSemaphore(
                exports, wait_seconds=wait_seconds, kind="export", share=max(1, exports // 2)
            ),
        )
