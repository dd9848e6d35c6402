"""Who may talk to the review server: a browser on this machine that was shown the token, from the server's own page."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from email.message import Message
from hmac import compare_digest
from http import HTTPStatus

__all__ = ["Guard", "Refused"]


class Refused(Exception):
    """A request that is not answered: the status that says so, and words for whoever reads it."""

    def __init__(self, status: HTTPStatus, words: str) -> None:
        super().__init__(words)
        self.status = status
        self.words = words


def _secret() -> str:
    return secrets.token_urlsafe(32)


@dataclass(frozen=True)
class Guard:
    """The secrets of one server on 127.0.0.1, and what a request needs.

    `token` is in the address that the terminal shows; the cookie that it is exchanged for holds `session`. `tickets`
    are good for one visit: the address that a browser is started with can be read by every user of the machine.
    """

    port: int
    token: str = field(default_factory=_secret, repr=False)
    session: str = field(default_factory=_secret, repr=False)
    tickets: list[str] = field(default_factory=list, repr=False)

    @property
    def origin(self) -> str:
        """Where the page lives."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def address(self) -> str:
        """Where a person enters."""
        return f"{self.origin}/?token={self.token}"

    @property
    def cookie(self) -> str:
        """The cookie to set. Its name holds the port, since browsers share cookies between the ports of a host."""
        return f"{self._cookie_name}={self.session}; Path=/; HttpOnly; SameSite=Strict"

    def one_visit(self) -> str:
        """An address that lets one visitor in, once."""
        self.tickets.append(_secret())
        return f"{self.origin}/?token={self.tickets[-1]}"

    def check_host(self, headers: Message) -> None:
        """Raises Refused for a request to a name that is not this machine's, which any site can give itself."""
        if len(named := headers.get_all("Host", [])) != 1 or named[0].lower() not in self._hosts:
            raise Refused(HTTPStatus.FORBIDDEN, f"This page is at {self.origin} only.")

    def check_token(self, token: str) -> None:
        """Raises Refused for any but the right token; a ticket is used up."""
        for ticket in [ticket for ticket in self.tickets if _same(token, ticket)]:
            self.tickets.remove(ticket)
            return
        if not _same(token, self.token):
            raise Refused(HTTPStatus.FORBIDDEN, "This is not the token. Open the address that the terminal shows.")

    def check_visitor(self, headers: Message) -> None:
        """Raises Refused for a request without the cookie, or from another page, be it on another port."""
        if headers.get("Sec-Fetch-Site", "none") not in ("same-origin", "none"):
            raise Refused(HTTPStatus.FORBIDDEN, "This answers its own page only.")
        self.check_cookie(headers)

    def check_cookie(self, headers: Message) -> None:
        """Raises Refused for a request without the cookie."""
        pairs = (pair.partition("=") for line in headers.get_all("Cookie", []) for pair in line.split(";"))
        held = [value.strip() for name, _, value in pairs if name.strip() == self._cookie_name]
        if not any(_same(value, self.session) for value in held):
            raise Refused(HTTPStatus.FORBIDDEN, "Open the address that the terminal shows, with its token.")

    def check_writer(self, headers: Message) -> None:
        """Raises Refused for a write that does not come from this server's page as JSON."""
        self.check_visitor(headers)
        if headers.get_all("Origin", []) not in [[f"http://{host}"] for host in self._hosts]:
            raise Refused(HTTPStatus.FORBIDDEN, "Decisions are taken from the server's own page only.")
        if headers.get_content_type() != "application/json":
            raise Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Decisions are sent as application/json.")

    @property
    def _hosts(self) -> tuple[str, str]:
        return f"127.0.0.1:{self.port}", f"localhost:{self.port}"

    @property
    def _cookie_name(self) -> str:
        return f"storyboard-{self.port}"


def _same(given: str, secret: str) -> bool:
    """Whether they are equal, found in a time that doesn't tell how much of it is."""
    return compare_digest(given.encode("utf-8", "replace"), secret.encode())
