"""To which hosts a client sends its key in plain text, and how the environment changes that."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from facerec.cli import main
from facerec.client import MatcherClient, Security
from facerec.errors import FacerecError, Reason
from facerec.serving.health_check import is_serving
from facerec.serving.server.address import parse

KEY = "fr_not-for-everyone"

HERE = (
    "127.0.0.1:50052",
    "127.9.8.7:50052",
    "127.0.0.1",
    "localhost:50052",
    "localhost",
    "[::1]:50052",
    "[::1]",
    "::1",
    "[::ffff:127.0.0.1]:50052",
    "dns:///127.0.0.1:50052",
    "dns:///localhost:50052",
    "ipv4:127.0.0.1:50052",
    "ipv4:127.0.0.1:50052,127.0.0.2:50052",
    "ipv6:[::1]:50052",
    "unix:/run/facerec.sock",
    "unix:///run/facerec.sock",
    "unix-abstract:facerec",
)
ELSEWHERE = (
    "matcher.example:50052",
    "10.0.0.1:50052",
    "0.0.0.0:50052",
    "127.attacker.example:50052",
    "127.0.0.1.attacker.example:50052",
    "localhost.attacker.example:50052",
    "dns:///127.attacker.example:443",
    "dns://10.0.0.53/localhost:50052",
    "dns://10.0.0.53/127.0.0.1:50052",
    "ipv4:127.0.0.1:1,10.0.0.1:1",
    "ipv4:10.0.0.1:1,127.0.0.1:1",
    "ipv6:[::1]:1,[2001:db8::1]:1",
    "dns:///127.0.0.1:1,10.0.0.1:1",
    "localhost:50052@attacker.example:1",
    "127.0.0.1:50052@attacker.example",
    "user:127.0.0.1@attacker.example:1",
    "127.0.0.1%2eattacker.example:1",
    "127.0.0.1:50052/../attacker.example",
    "127.0.0.1#.attacker.example:1",
    "[::1%25eth0]:1",
    "[::1].attacker.example:1",
    "[localhost]:1",
    "[::ffff:10.0.0.1]:1",
    "[fe80::1%lo]:1",
    "127.0.0.1.:50052",
    "localhost.:50052",
    "LOCALHOST:50052",
    "LocalHost.attacker.example:1",
    "127.1:50052",
    "0x7f000001:50052",
    "0177.0.0.1:50052",
    "2130706433:50052",
    "127。0。0。1:50052",
    " 127.0.0.1:50052",
    "UNIX:/run/facerec.sock",
    "unixx:1",
    "xds:///127.0.0.1:50052",
    "http://127.0.0.1:50052",
    "vsock:1:50052",
    "",
    ":50052",
)


@pytest.mark.parametrize("address", HERE)
def test_a_key_goes_in_plain_text_to_this_machine(address: str) -> None:
    assert Security(api_key=KEY).metadata(address) == (("authorization", f"Bearer {KEY}"),)


@pytest.mark.parametrize("address", ELSEWHERE)
def test_a_key_goes_in_plain_text_nowhere_else(address: str) -> None:
    with pytest.raises(FacerecError, match="is not sent to") as caught:
        Security(api_key=KEY).metadata(address)
    assert (caught.value.reason, KEY in str(caught.value)) == (Reason.NOT_PERMITTED, False)
    for secured in (Security(api_key=KEY, tls=True), Security(api_key=KEY, plaintext_key=True)):
        assert secured.metadata(address)
    assert not Security().metadata(address), "without a key there is nothing to keep"


@pytest.mark.parametrize(
    ("host", "local"),
    [
        *((host, True) for host in ("127.0.0.1", "127.9.8.7", "localhost", "::1", "::ffff:127.0.0.1")),
        *(
            (host, False)
            for host in ("127.attacker.example", "0.0.0.0", "::", "::ffff:10.0.0.1", "LOCALHOST")
        ),
    ],
)
def test_a_server_takes_the_same_hosts_for_this_machine(host: str, local: bool) -> None:
    assert parse(f"[{host}]:1" if ":" in host else f"{host}:1").is_loopback is local


@pytest.mark.parametrize("key", ["fr_a\nb", " fr_a", "fr_a\n", "fr_ä", "fr_a\x00"])
def test_a_key_with_characters_that_no_key_has_is_refused_before_anything_is_sent(key: str) -> None:
    with pytest.raises(FacerecError, match="invalid characters") as caught:
        MatcherClient("127.0.0.1:1", security=Security(api_key=key))
    assert (caught.value.reason, caught.value.field) == (Reason.OPTION_INVALID, "api_key")
    assert key not in str(caught.value)


@pytest.mark.parametrize("variable", ["FACEREC_TLS", "FACEREC_PLAINTEXT_KEY"])
@pytest.mark.parametrize(
    ("text", "on"),
    [
        *((text, True) for text in ("1", "true", "True", "TRUE", "yes", "Yes", "on", "ON")),
        *((text, False) for text in ("0", "false", "False", "no", "NO", "off", "Off", "")),
    ],
)
def test_a_switch_of_the_environment_is_read_in_any_case(variable: str, text: str, on: bool) -> None:
    security = Security.from_environment({variable: text})
    assert (security.tls if variable == "FACEREC_TLS" else security.plaintext_key) is on


@pytest.mark.parametrize("text", ["2", "ja", "enabled", "true ", "none"])
def test_a_switch_that_is_neither_on_nor_off_is_an_error_that_names_it(text: str) -> None:
    with pytest.raises(FacerecError, match="FACEREC_TLS=") as caught:
        Security.from_environment({"FACEREC_TLS": text})
    assert caught.value.reason is Reason.OPTION_INVALID


def test_a_command_says_which_switch_is_wrong(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for variable, command in (("FACEREC_TLS", ["people"]), ("FACEREC_DEBUG", ["--version"])):
        with monkeypatch.context() as context:
            context.setenv(variable, "maybe")
            assert main(command) == 2
        assert f"error: {variable}=maybe: set it to 1, true, yes or on" in capsys.readouterr().err


def test_any_tls_option_turns_tls_on() -> None:
    parts = Security(ca_file="x"), Security(cert_file="x"), Security(key_file="x"), Security(server_name="x")
    assert all(part.is_tls for part in (*parts, Security(tls=True)))
    assert not Security(api_key="x", plaintext_key=True).is_tls


@contextmanager
def listening() -> Iterator[tuple[int, list[bytes]]]:
    """A port, and what each connection to it sent first."""
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def hear() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    connection.settimeout(5)
                    heard.append(connection.recv(1024))

        thread = threading.Thread(target=hear, daemon=True)
        thread.start()
        yield server.getsockname()[1], heard
        server.shutdown(socket.SHUT_RDWR)
    thread.join(10)


def test_no_call_goes_through_a_proxy_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    with listening() as (proxy, heard), listening() as (port, reached):
        for variable in ("http_proxy", "https_proxy", "grpc_proxy", "all_proxy"):
            monkeypatch.setenv(variable, f"http://127.0.0.1:{proxy}")
        monkeypatch.setenv("GRPC_ADDRESS_HTTP_PROXY", f"127.0.0.1:{proxy}")
        monkeypatch.setenv("GRPC_ADDRESS_HTTP_PROXY_ENABLED_ADDRESSES", "127.0.0.0/8")
        client = MatcherClient(f"127.0.0.1:{port}", timeout_seconds=5, security=Security(api_key=KEY))
        with client, pytest.raises(FacerecError):
            client.get_person("ann")
        assert not is_serving(f"127.0.0.1:{port}")
    assert not heard
    assert len(reached) >= 2, "both went straight to the address"
