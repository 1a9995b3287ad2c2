"""Under which names the gateway may be called."""

import pytest

from facerec.gateway.origins import Origins

PAGES = frozenset({"https://door.example"})


@pytest.mark.parametrize(
    ("loopback", "names", "answered", "refused"),
    [
        (True, "", "localhost:8080 127.0.0.1 [::1]:8080 door.example", "evil.example 192.0.2.1:8080"),
        (True, "faces.example", "faces.example faces.example:8080 localhost", "evil.example"),
        (False, "", "evil.example 192.0.2.1:8080", ""),
        (
            False,
            "localhost 127.0.0.1",
            "localhost:8080 127.0.0.1:49152 door.example",
            "evil.example:8080 localhost.evil.example 0.0.0.0:8080 127.0.0.2 [::1]",
        ),
    ],
)
def test_requests_to_other_names_are_refused(loopback: bool, names: str, answered: str, refused: str) -> None:
    origins = Origins(PAGES, frozenset(names.split()), loopback=loopback)
    for host in answered.split():
        assert not origins.refusal("http", {"host": host}), host
    for host in refused.split():
        assert origins.refusal("http", {"host": host, "origin": f"http://{host}"}), host


def test_only_a_link_of_another_page_needs_no_origin() -> None:
    origins = Origins(PAGES, frozenset(), loopback=True)
    own = {"host": "localhost:8080"}
    for site in ("cross-site", "same-site"):
        for element in ("image", "object", "iframe", "script", "empty"):
            found = origins.refusal("http", {**own, "sec-fetch-site": site, "sec-fetch-dest": element})
            assert "embed" in found, (site, element)
        assert not origins.refusal("http", {**own, "sec-fetch-site": site, "sec-fetch-dest": "document"})
        named = {"origin": "https://door.example", "sec-fetch-site": site, "sec-fetch-dest": "empty"}
        assert not origins.refusal("http", {**own, **named})
    for site in ("same-origin", "none"):
        assert not origins.refusal("http", {**own, "sec-fetch-site": site, "sec-fetch-dest": "image"})
