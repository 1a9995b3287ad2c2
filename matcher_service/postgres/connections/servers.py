"""Tries the servers of a URL one shortly after another: a dead one delays a connection only a little."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Final
from urllib.parse import quote, unquote

import asyncpg

STAGGER_SECONDS: Final = 0.25  # before the next server is tried beside one that does not answer


def split_servers(hosts: str, parameters: Mapping[str, str]) -> Iterator[tuple[str, Mapping[str, str]]]:
    """The host and the parameters of each server of a URL with these.

    The driver would try them one by one within one time limit, all of which a dead one takes.
    """
    if parameters.get("target_session_attrs") == "prefer-standby":  # which compares the servers
        yield hosts, parameters
    elif hosts:
        for host in hosts.split(","):
            yield host, parameters
    elif "," in (named := unquote(parameters.get("host", ""))):
        names, ports = named.split(","), parameters.get("port", "").split(",")
        for name, port in zip(names, ports * (len(names) if len(ports) == 1 else 1), strict=True):
            yield "", {**parameters, "host": quote(name), **({"port": port} if port else {})}
    else:
        yield "", parameters


async def first_connected(
    attempts: Sequence[Callable[[], Awaitable[asyncpg.Connection]]],
) -> asyncpg.Connection:
    """The first connection that an attempt makes; the next one begins when one fails or takes long.

    Raises the last error, one of a server that is not the kind wanted only where there is no other.
    """
    waiting = list(reversed(attempts))
    running: set[asyncio.Future[asyncpg.Connection]] = set()
    error: BaseException | None = None
    try:
        while waiting or running:
            if waiting:
                running.add(asyncio.ensure_future(waiting.pop()()))
            patience = STAGGER_SECONDS if waiting else None
            done, running = await asyncio.wait(running, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
            for each in done:
                found = each.exception()
                if found is None:
                    running |= done - {each}
                    return each.result()
                if error is None or not isinstance(found, asyncpg.TargetServerAttributeNotMatched):
                    error = found
    finally:
        _abandon(running)
    assert error is not None
    raise error


def _abandon(attempts: set[asyncio.Future[asyncpg.Connection]]) -> None:
    """Cancel attempts, and close what they connect all the same."""
    for attempt in attempts:
        attempt.add_done_callback(_close)
        attempt.cancel()


def _close(attempt: asyncio.Future[asyncpg.Connection]) -> None:
    if not attempt.cancelled() and attempt.exception() is None:
        attempt.result().terminate()
