"""The paths of the console."""

from typing import Final

from google.rpc import code_pb2

from facerec.gateway.admission import BodyReader, Scope
from facerec.gateway.answers import AnswerSender
from facerec.gateway.console import files
from facerec.gateway.console.headers import HEADERS
from facerec.gateway.console.sessions import Sessions
from facerec.gateway.exchange import Exchange

PATH: Final = "/console/"
_PREFIX: Final = PATH.encode()
_TO_PAGES: Final = (b"/", _PREFIX.removesuffix(b"/"))
_READING: Final = ("GET", "HEAD")


class ConsoleSite:
    """Answers `/console/` and below it; a browser that asks for `/` is sent there.

    Paths are compared as they were sent: no encoding, dot or slash makes one of another.
    """

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._files = files.read_files()

    def takes(self, scope: Scope, current: Exchange) -> bool:
        """Whether the path is one of the console, or the address alone in a browser."""
        path = scope["raw_path"]
        if path == b"/":
            return scope["method"] in _READING and "text/html" in current.headers.get("accept", "")
        return path in _TO_PAGES or path.startswith(_PREFIX)

    async def answer(self, scope: Scope, body: BodyReader, answer: AnswerSender, current: Exchange) -> None:
        """Answer with a file, the session, or the way to the pages."""
        answer.more += HEADERS
        path = scope["raw_path"].removeprefix(_PREFIX)
        file = self._files.get(path)
        if scope["raw_path"] in _TO_PAGES:
            await answer.send_all(302, b"", [(b"location", _PREFIX)])
        elif path == b"session":
            await self._sessions.answer(scope, body, answer, current)
        elif file is None:
            await answer.text(404, code_pb2.UNIMPLEMENTED, f"there is no such file; the console is {PATH}")
        elif scope["method"] not in _READING:
            more = [(b"allow", b"GET, HEAD")]
            await answer.text(405, code_pb2.UNIMPLEMENTED, "this path takes GET, HEAD", more)
        else:
            await _send_file(file, answer, current)


async def _send_file(file: files.File, answer: AnswerSender, current: Exchange) -> None:
    """Send a file, or say that the browser has it: it asks each time, so that a new release is used."""
    headers = [(b"etag", file.etag.encode()), (b"cache-control", b"no-cache")]
    if files.is_current(file, current.headers.get("if-none-match", "")):
        await answer({"type": "http.response.start", "status": 304, "headers": headers})
        await answer({"type": "http.response.body", "body": b"", "more_body": False})
        return
    await answer.send_all(200, file.content, headers, content_type=file.content_type)
