"""One request to the review server: who asks, what for, and the answer."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from email.message import Message
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from renderer.errors import ReviewError, RunFolderError, StoryboardError
from renderer.reviewing.decisions import read_decisions
from renderer.reviewing.guard import Refused
from renderer.reviewing.shelf import TYPES, find_file

if TYPE_CHECKING:
    from renderer.reviewing.server import ReviewServer

MAX_BODY = 16 * 2**20
"""Bytes of decisions taken at once: those of twenty thousand takes with notes."""

PAGE_POLICY = (
    "default-src 'none'; img-src 'self'; connect-src 'self'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Beside the page's own policy, which allows its scripts and styles by hash: what holds for a page without one too."""
FILE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
"""Browsers place a picture that is opened by itself with a style of their own."""


class ReviewHandler(BaseHTTPRequestHandler):
    """Answers for one connection, in a thread of its own."""

    server: ReviewServer
    protocol_version = "HTTP/1.1"
    server_version = "storyboard"
    sys_version = ""
    timeout = 60
    """Seconds that a connection may rest."""

    def do_GET(self) -> None:
        """The sheet, what it shows, the review, or the stream of events."""
        self._answer(self._get)

    def do_POST(self) -> None:
        """Decisions to keep."""
        self._answer(self._post)

    def do_OTHER(self) -> None:
        """Any other method."""
        self._answer(self._wrong_method)

    do_HEAD = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_TRACE = do_CONNECT = do_OTHER

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the terminal is the author's, and the first request holds the token."""

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """The base class's own refusals (a line that is no request, an unknown method), answered like ours."""
        self._refuse(Refused(HTTPStatus(code), message or HTTPStatus(code).phrase))

    def _answer(self, reply: Callable[[], None]) -> None:
        if self.server.ended:  # on a connection that was kept
            self.close_connection = True
            return
        try:
            self.server.guard.check_host(self.headers)
            reply()
        except Refused as refused:
            self._refuse(refused)
        except ReviewError as error:
            self._refuse(Refused(HTTPStatus.CONFLICT, str(error)))
        except RunFolderError as error:
            self._refuse(Refused(HTTPStatus.SERVICE_UNAVAILABLE, str(error)))
        except StoryboardError as error:
            self._refuse(Refused(HTTPStatus.INTERNAL_SERVER_ERROR, str(error)))

    def _get(self) -> None:
        path, _, query = self.path.partition("?")
        asked = {name: values[-1] for name, values in parse_qs(query, errors="replace").items()}
        if path == "/" and "token" in asked:
            return self._let_in(asked["token"])
        if path == "/":
            self._let_through(self.server.guard.check_cookie)
            return self._send(HTTPStatus.OK, self.server.page().encode(), "text/html", policy=PAGE_POLICY)
        self._let_through(self.server.guard.check_visitor)
        if path == "/review":
            return self._send_json(HTTPStatus.OK, self.server.review().model_dump())
        if path == "/events":
            return self._stream(self.headers.get("Last-Event-ID") or asked.get("since", ""))
        return self._send_file(path)

    def _post(self) -> None:
        self._let_through(self.server.guard.check_writer)
        if self.path != "/review":
            raise Refused(HTTPStatus.METHOD_NOT_ALLOWED, "Nothing can be written here.")
        content = self._body()
        if not isinstance(content, dict) or content.keys() != {"decisions"}:
            raise Refused(HTTPStatus.BAD_REQUEST, 'Decisions are sent as {"decisions": {key: decision, …}}.')
        try:
            coming = read_decisions(content["decisions"])
        except ReviewError as error:
            raise Refused(HTTPStatus.BAD_REQUEST, str(error)) from error
        kept = self.server.save(coming)
        self._send_json(HTTPStatus.OK, {"decisions": {key: each.model_dump() for key, each in kept.items()}})

    def _let_through(self, check: Callable[[Message], None]) -> None:
        """Raises Refused where `check` does; else the connection is one of the reviewer's own."""
        check(self.headers)
        self.server.welcome(self.connection)

    def _wrong_method(self) -> None:
        raise Refused(HTTPStatus.METHOD_NOT_ALLOWED, "Pages are fetched with GET, and decisions sent with POST.")

    def _let_in(self, token: str) -> None:
        self.server.guard.check_token(token)
        more = {"Set-Cookie": self.server.guard.cookie, "Location": "/"}
        self._send(HTTPStatus.SEE_OTHER, b"", "text/plain", more)

    def _body(self) -> object:
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdigit()) or "Transfer-Encoding" in self.headers:
            raise Refused(HTTPStatus.LENGTH_REQUIRED, "Say how long the decisions are, with Content-Length.")
        if len(length) > 12 or int(length) > MAX_BODY:
            raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"At most {MAX_BODY // 2**20} MB at a time.")
        data = self.rfile.read(int(length))
        if len(data) < int(length):
            raise ConnectionAbortedError("the page left in the middle of a sentence")
        try:
            return json.loads(data.decode("utf-8"))
        except (ValueError, RecursionError):
            raise Refused(HTTPStatus.BAD_REQUEST, "This is not JSON.") from None

    def _send_file(self, url: str) -> None:
        path = find_file(self.server.folder, url)
        try:
            if path is None:
                raise FileNotFoundError(url)
            with path.open("rb") as file:
                status = os.fstat(file.fileno())
                tag = f'"{status.st_mtime_ns:x}-{status.st_size:x}"'
                fresh = self.headers.get("If-None-Match") == tag
                content = b"" if fresh else file.read()
        except OSError:
            raise Refused(HTTPStatus.NOT_FOUND, "There is nothing here.") from None
        more = {"ETag": tag, "Cache-Control": "private, no-cache"}
        code = HTTPStatus.NOT_MODIFIED if fresh else HTTPStatus.OK
        self._send(code, content, TYPES[path.suffix], more, policy=FILE_POLICY)

    def _stream(self, since: str) -> None:
        """Events as they come, until the page or the server goes."""
        self.close_connection = True
        self._head(HTTPStatus.OK, "text/event-stream", {"Connection": "close"})
        self.wfile.write(b"retry: 2000\n\n")
        for event in self.server.live.follow(since):
            self.wfile.write(str(event).encode() if event else b": here\n\n")
        self.wfile.write(b"retry: 15000\n\n")  # it makes room for others, or the server has ended

    def _send_json(self, status: HTTPStatus, content: object) -> None:
        self._send(status, json.dumps(content, ensure_ascii=False).encode(), "application/json")

    def _refuse(self, refused: Refused) -> None:
        """Says why not. The connection ends: a body that was not read would be taken for the next request."""
        self.close_connection = True
        if getattr(self, "path", "") == "/review":
            content, kind = json.dumps({"error": refused.words}, ensure_ascii=False), "application/json"
        else:
            content, kind = refused.words + "\n", "text/plain"
        self._send(refused.status, content.encode(), kind, {"Connection": "close"})
        if self.command == "POST":
            self._linger()

    def _linger(self) -> None:
        """Waits a moment for the rest of a body that nobody reads: else the answer would be lost on its way."""
        with suppress(OSError):
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_WR)
            self.connection.settimeout(1.0)
            for _ in range(4 * MAX_BODY // 2**16):
                if not self.connection.recv(2**16):
                    break

    def _send(
        self,
        status: HTTPStatus,
        content: bytes,
        kind: str,
        more: dict[str, str] | None = None,
        policy: str = FILE_POLICY,
    ) -> None:
        length = {} if status == HTTPStatus.NOT_MODIFIED else {"Content-Length": str(len(content))}
        self._head(status, kind, length | (more or {}), policy)
        if self.command != "HEAD":
            self.wfile.write(content)

    def _head(self, status: HTTPStatus, kind: str, more: dict[str, str], policy: str = FILE_POLICY) -> None:
        headers = {
            "Content-Type": kind if kind.startswith("image/") else f"{kind}; charset=utf-8",
            "Cache-Control": "no-store",
            "Content-Security-Policy": policy,
            "Cross-Origin-Opener-Policy": "same-origin",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
            "X-Frame-Options": "DENY",
        }
        self.send_response(status)
        for name, value in (headers | more).items():
            self.send_header(name, value)
        self.end_headers()
