"""What surrounds the use of a connection: its measurement, and what its errors say of other connections."""

import contextlib
import time
from collections.abc import AsyncIterator, Iterator

from facerec.serving.observability import spans
from matcher_service import metrics
from matcher_service.domain.errors import CollectionRecreated, PrimaryChanged, SchemaChanged
from matcher_service.postgres.connections.pools import Pools
from matcher_service.postgres.driver_errors import READ_ONLY_ERRORS, STALE_ERRORS, explain
from matcher_service.postgres.session import Connection


@contextlib.contextmanager
def measured(requested: float, *, shared: bool) -> Iterator[None]:
    """Measure the stages of a call that has a connection now and requested it then, by time.perf_counter.

    If several calls share the session, each measures its own stages and span (Batcher).
    """
    if shared:
        yield
        return
    acquired = time.perf_counter()
    metrics.POOL_SECONDS.observe(acquired - requested)
    try:
        with spans.part_span("postgres"):
            yield
    finally:
        metrics.DATABASE_SECONDS.observe(time.perf_counter() - acquired)


@contextlib.asynccontextmanager
async def renewing(pools: Pools, connection: Connection, collection_id: str) -> AsyncIterator[None]:
    """Replace all connections of `pools` after an error that says they are outdated.

    Raises SchemaChanged, CollectionRecreated and PrimaryChanged in the place of such errors.
    """
    try:
        yield
    except STALE_ERRORS as error:
        try:
            await explain(connection, getattr(connection, "prepared_for", None), collection_id, error)
        except CollectionRecreated:
            raise
        except SchemaChanged:
            await pools.renew()
            raise
        raise
    except READ_ONLY_ERRORS as error:
        await pools.renew()
        raise PrimaryChanged from error
