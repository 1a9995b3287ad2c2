"""The gateway's application: admits each request, has it answered, counts and logs it."""

import asyncio
import json
import time
from collections.abc import Sequence
from typing import Final

import structlog
from google.rpc import code_pb2

from facerec.gateway import admission, exchange, failures
from facerec.gateway.admission import Application, BodyReader, CallLimit, Receive, Scope, Send
from facerec.gateway.answers import AnswerSender
from facerec.gateway.connect import ConnectApplication
from facerec.gateway.connections import MAX_HEAD_BYTES
from facerec.gateway.console.sessions import Sessions
from facerec.gateway.exchange import Exchange
from facerec.gateway.forwarding import Forwarder
from facerec.gateway.methods import METHODS, namesake
from facerec.gateway.origins import Origins
from facerec.gateway.services import Services
from facerec.gateway.settings import GatewaySettings
from facerec.gateway.short_paths.openapi import document
from facerec.gateway.sites import Site
from facerec.serving.fairness.byte_budget import FairByteBudget
from facerec.serving.middleware import status
from facerec.serving.observability.access_log import AccessLog
from facerec.serving.observability.metrics import CALLS

_GRPC: Final = "application/grpc"
log = structlog.get_logger(__name__)


class Gateway:
    """An ASGI application over the services.

    `sites` answer their paths, and the gateway itself every method by Connect and gRPC-Web; `sessions` are
    those of the console, None without it; `loopback` says whether it listens on a loopback address.
    """

    def __init__(
        self,
        settings: GatewaySettings,
        services: Services,
        forwarder: Forwarder,
        sites: Sequence[Site],
        *,
        sessions: Sessions | None,
        loopback: bool,
    ) -> None:
        self.access_log = AccessLog()
        self._settings = settings
        self._services = services
        self._limit = CallLimit(settings.max_calls)
        self._budget = FairByteBudget(settings.max_bytes_in_flight, settings.max_request_bytes)
        self._answers = FairByteBudget(max(settings.max_bytes_in_flight // 2, settings.max_request_bytes))
        self._origins = Origins(settings.origins(), settings.hosts(), loopback=loopback)
        self._connect: Application = ConnectApplication(forwarder, settings.max_request_bytes)
        self._sites = sites
        self._sessions = sessions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        current = Exchange(scope["headers"], scope["client"], self._budget, self._answers)
        exchange.begin(current)
        cors = self._origins.headers(current.headers)
        answer = AnswerSender(send, current, cors, self._settings.max_call_seconds, scope.get("abort"))
        began = time.perf_counter()
        try:
            with self._limit.held(current.host) as current.is_admitted:
                await self._admit(scope, receive, answer, current)
        except (asyncio.CancelledError, ConnectionResetError):
            current.code = "CANCELLED"
            raise
        except Exception as error:
            # Not the path: a short one may have a person's id.
            found = status.to_internal_error(error, current.method.path if current.method else "")
            failed = failures.fail(found)
            if not answer.has_started:
                await answer.fail(failed)
        finally:
            current.reservation.release()
            current.answer_reservation.release()
            self._count(current, time.perf_counter() - began)

    def _count(self, current: Exchange, seconds: float) -> None:
        method, log_calls = current.method, self._settings.log_calls
        if method is None:
            return
        calls = CALLS.of_method(method.kind, method.service, method.name)
        calls.begin()
        calls.end(current.code, seconds)
        if log_calls == "all" or (log_calls == "failed" and current.code != "OK"):
            self.access_log.add(method.name, current.code, seconds, current.call)

    async def _admit(self, scope: Scope, receive: Receive, answer: AnswerSender, current: Exchange) -> None:
        if self._sessions:
            self._sessions.authorize(scope, current)
        if _head_bytes(scope) > MAX_HEAD_BYTES:
            await answer.text(
                431, code_pb2.INVALID_ARGUMENT, f"the head has more than {MAX_HEAD_BYTES:,} bytes"
            )
        elif why := self._origins.refusal(scope["scheme"], current.headers):
            await answer.text(403, code_pb2.PERMISSION_DENIED, why)
        elif scope["method"] == "OPTIONS":
            await answer.send_all(204, b"", self._origins.preflight())
        elif site := next((site for site in self._sites if site.takes(scope, current)), None):
            await site.answer(scope, self._body(receive, current), answer, current)
        elif scope["path"] in METHODS and scope["method"] == "POST":
            await self._call(scope, receive, answer, current)
        else:
            await self._answer_other(scope, answer)

    async def _call(self, scope: Scope, receive: Receive, answer: AnswerSender, current: Exchange) -> None:
        """Answer a call in the protocol of Connect or of gRPC-Web."""
        current.method = METHODS[scope["path"]]
        kind = current.headers.get("content-type", "").partition(";")[0].strip()
        if kind == _GRPC or kind.startswith(f"{_GRPC}+"):
            await answer.text(
                415, code_pb2.UNIMPLEMENTED, "gRPC is spoken by the services themselves: call them directly"
            )
            return
        if kind.startswith(_GRPC):  # connectrpc splits no parameters off
            scope["headers"] = [(name, value) for name, value in scope["headers"] if name != b"content-type"]
            scope["headers"].append((b"content-type", kind.encode()))
        scope["headers"] = [(name, value) for name, value in scope["headers"] if value.isascii()]
        body = self._body(receive, current, is_stream=current.method.request_streaming)
        await self._connect(scope, body, answer)

    def _body(self, receive: Receive, current: Exchange, *, is_stream: bool = False) -> BodyReader:
        max_bytes = None if is_stream else self._settings.max_request_bytes
        return BodyReader(
            receive,
            current,
            max_bytes=max_bytes,
            max_seconds=self._settings.max_call_seconds,
            refusal=admission.refusal(current, max_bytes),
        )

    async def _answer_other(self, scope: Scope, answer: AnswerSender) -> None:
        match scope["method"], scope["path"]:
            case "GET", "/health":
                await answer.send_all(200, b'{"status":"ok"}\n')
            case "GET", "/ready":
                states = self._services.states()
                body = {"ready": all(states.values()), "services": states}
                await answer.send_all(200 if body["ready"] else 503, f"{json.dumps(body)}\n".encode())
            case "GET", "/openapi.json":
                await answer.send_all(200, document())
            case _, path:
                verbs = ["POST"] if path in METHODS else []
                verbs += ["GET"] if path in ("/health", "/ready", "/openapi.json") else []
                await answer.refuse_path(verbs, namesake(path))


def _head_bytes(scope: Scope) -> int:
    """The bytes of a request's head; h11 limits those of one that arrives in several parts only."""
    head: int = sum(len(name) + len(value) + 4 for name, value in scope["headers"])
    return head + len(scope["raw_path"]) + len(scope["query_string"])
