"""The caller that a call is attributed to."""

import contextvars

import pytest

from facerec.serving.middleware import call
from facerec.serving.middleware.caller import ANYBODY, Caller


def key_of(peer: str, caller: Caller = ANYBODY) -> str:
    call.begin((), lambda: peer).caller = caller
    return call.share_key()


@pytest.mark.parametrize(
    ("peer", "key"),
    [
        ("ipv4:192.0.2.7:50312", "ipv4:192.0.2.7"),
        ("ipv4:192.0.2.7:50313", "ipv4:192.0.2.7"),
        ("ipv6:%5B2001:db8::7%5D:50312", "ipv6:%5B2001:db8::7%5D"),
        ("unix:", "unix"),
        ("", "unknown"),
    ],
)
def test_without_a_key_a_call_is_its_hosts_whatever_the_connection(peer: str, key: str) -> None:
    assert contextvars.Context().run(key_of, peer) == key


def test_a_keys_or_certificates_name_goes_before_the_host() -> None:
    assert contextvars.Context().run(key_of, "ipv4:192.0.2.7:50312", Caller("door")) == "door"


@pytest.mark.parametrize(
    ("sent", "taken"),
    [("tenant-7", "tenant-7"), ("", ""), ("two words", ""), ("a" * 65, ""), ("line\nbreak", "")],
)
def test_the_on_behalf_of_id_has_a_bounded_form(sent: str, taken: str) -> None:
    def peer() -> str:
        call.begin([("x-on-behalf-of", sent)])
        return call.on_behalf_of()

    assert contextvars.Context().run(peer) == taken
