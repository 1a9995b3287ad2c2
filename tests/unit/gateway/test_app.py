"""What the gateway logs of an unexpected error: nothing that the request's path says of a person."""

from typing import Any

from structlog.testing import capture_logs

from facerec.gateway.admission import BodyReader, Scope
from facerec.gateway.answers import AnswerSender
from facerec.gateway.app import Gateway
from facerec.gateway.exchange import Exchange
from facerec.gateway.forwarding import Forwarder
from facerec.gateway.methods import METHODS
from facerec.gateway.services import Services
from facerec.gateway.settings import GatewaySettings

NOWHERE = "127.0.0.1:9"
METHOD = METHODS["/facerec.matcher.v1.MatcherService/GetPerson"]


class Failing:
    """A site that fails unexpectedly while it answers a call."""

    def takes(self, scope: Scope, current: Exchange) -> bool:
        return True

    async def answer(self, scope: Scope, body: BodyReader, answer: AnswerSender, current: Exchange) -> None:
        current.method = METHOD
        raise RuntimeError(scope["path"])


def gateway() -> Gateway:
    settings = GatewaySettings.model_validate({})
    services = Services(
        NOWHERE, NOWHERE, security=settings.security(), insecure=False, max_message_bytes=1 << 20
    )
    forwarder = Forwarder(services, settings.max_call_seconds)
    return Gateway(settings, services, forwarder, [Failing()], sessions=None, loopback=True)


async def test_an_unexpected_error_is_logged_with_its_method_and_without_the_path() -> None:
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.disconnect"}

    async def send(event: Any) -> None:
        sent.append(event)

    path = "/v1/persons/barack"
    scope = {
        "type": "http",
        "scheme": "http",
        "method": "GET",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(b"host", b"127.0.0.1")],
        "client": ("127.0.0.1", 1),
    }
    app = gateway()
    with capture_logs() as logged:
        await app(scope, receive, send)
    app.access_log.close()
    assert sent[0]["status"] == 500
    assert [line["method"] for line in logged if line["event"] == "internal_error"] == [METHOD.path]
    assert "barack" not in repr(logged) + repr(sent)
