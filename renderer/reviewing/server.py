"""The server of `storyboard review`: the sheet on 127.0.0.1, for whoever holds its token, saving straight to disk."""

from __future__ import annotations

import errno
import hashlib
import os
import shlex
import socket
import socketserver
import sys
import threading
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from http.server import ThreadingHTTPServer
from pathlib import Path

from renderer.errors import ReviewError, RunFolderError, StoryboardError
from renderer.manifest import Manifest, read_manifest
from renderer.reviewing.decisions import REVIEW_FILE, Decision, Review, keep_decisions, read_review
from renderer.reviewing.guard import Guard
from renderer.reviewing.handler import ReviewHandler
from renderer.reviewing.live import Live, Watcher
from renderer.sheet import sheet_html

__all__ = ["ReviewServer"]

STRANGERS = 64
"""Connections that have not shown the cookie. With more, the oldest is closed: whoever opens many and never ends a
sentence takes neither threads without end nor the reviewer's place."""

Decisions = Mapping[str, Decision]


class ReviewServer(ThreadingHTTPServer):
    """Serves the sheet of a run folder until `shutdown`, at the address that `guard` knows; use it in a `with` block.

    Without a `port` it takes the folder's own, or, where that is in use, a free one: browsers keep what a page could
    not save by its address, and should find it when the server comes back. Raises RunFolderError where nothing was
    rendered yet, StoryboardError for a port that can't be had.
    """

    # Elsewhere than on POSIX this would let another program listen on the same port.
    allow_reuse_address = os.name == "posix"

    # Connections that wait for their thread: a browser with many tabs opens them all at once.
    request_queue_size = 128

    def __init__(self, story: Path, folder: Path, port: int | None = None, templates: Path | None = None) -> None:
        self.story = story
        self.folder = folder
        self.templates = templates
        self.ended = False
        self._names: dict[str, str] = {}
        self._strangers: deque[socket.socket] = deque()
        self._meeting = threading.Lock()
        self.manifest()
        self.live = Live()
        self._saving = threading.Lock()
        self._known: Decisions = {}
        self._watcher = Watcher(folder, folder / REVIEW_FILE, self.look, lambda: self.live.send("sheet", {}))
        super().__init__(("127.0.0.1", 0), ReviewHandler, bind_and_activate=False)
        self._take_port(port)
        self.guard = Guard(self.server_port)
        self._note(self._on_disk())
        self._watcher.start()

    def server_bind(self) -> None:
        """Binds without asking a name server who 127.0.0.1 is, which can take seconds."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "127.0.0.1", self.server_address[1]

    def server_close(self) -> None:
        """Ends the streams, waits until what is being saved is on disk, and gives the port back."""
        self.live.close()
        self._watcher.end()
        with self._saving:
            self.ended = True
            super().server_close()

    def process_request(self, request: socket.socket, client_address: object) -> None:  # type: ignore[override]
        """Answers a new connection in a thread; the oldest of too many strangers makes room."""
        with self._meeting:
            self._strangers.append(request)
            if len(self._strangers) > STRANGERS:
                with suppress(OSError):
                    self._strangers.popleft().shutdown(socket.SHUT_RDWR)
        super().process_request(request, client_address)

    def shutdown_request(self, request: socket.socket) -> None:  # type: ignore[override]
        """Ends a connection."""
        self.welcome(request)
        super().shutdown_request(request)

    def welcome(self, connection: socket.socket) -> None:
        """This connection has shown the cookie, and stays as long as it likes."""
        with self._meeting, suppress(ValueError):
            self._strangers.remove(connection)

    def handle_error(self, request: object, client_address: object) -> None:
        """Visitors that vanish are nothing to tell of."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]

    def manifest(self) -> Manifest:
        """The record of the run folder. Raises RunFolderError where there is none."""
        manifest = read_manifest(self.folder)
        if manifest is None:
            command = f"storyboard render {shlex.quote(str(self.story))}"
            raise RunFolderError(f"{self.folder}: there is no sheet to review. Render first: {command}")
        source = (self.folder / manifest.source).resolve() if manifest.source else self.story.resolve()
        if source != self.story.resolve() and source.is_file():
            raise RunFolderError(
                f"{self.folder}: belongs to the story {source}. Name the folder of this one with --out."
            )
        self._names = {"title": manifest.title, "source": manifest.source}
        return manifest

    def page(self) -> str:
        """The sheet as it is now. Raises RunFolderError, and StoryboardError for templates that can't be used."""
        served = {"review": "/review", "events": f"/events?since={self.live.now}"}
        return sheet_html(self.manifest(), self.folder, templates=self.templates, served=served)

    def review(self) -> Review:
        """The review as it is on disk; an empty one where there is none yet. Raises ReviewError."""
        path = self.folder / REVIEW_FILE
        return read_review(path) if path.exists() else Review(story=self.folder.resolve().name)

    def save(self, coming: Decisions) -> Decisions:
        """Merges decisions into the review on disk and returns those that it holds now for the same takes, and for
        others that changed with them. Raises ReviewError where they can't be kept."""
        with self._saving:
            if self.ended:
                raise ConnectionAbortedError("the server has ended")
            if not self.folder.is_dir():
                raise ReviewError(f"{self.folder}: the run folder is gone. Put it back, or render again.")
            kept = keep_decisions(self.folder, coming, **self._names).decisions
            changed = self._note(kept)
        return changed | {key: kept[key] for key in coming}

    def look(self) -> None:
        """Tells open pages of decisions that were made elsewhere. Raises ReviewError for a review that is damaged."""
        with self._saving:
            self._note(self.review().decisions)

    def _take_port(self, port: int | None) -> None:
        for wish in (_own_port(self.folder), 0) if port is None else (port,):
            self.server_address = ("127.0.0.1", wish)
            try:
                self.server_bind()
                return self.server_activate()
            except OSError as error:
                refusal = error
        self.socket.close()
        words = "another program uses it" if refusal.errno == errno.EADDRINUSE else refusal.strerror or str(refusal)
        raise StoryboardError(f"port {port or 0}: {words}. Choose another with --port, or leave it out.") from refusal

    def _note(self, decisions: Decisions) -> dict[str, Decision]:
        """Those that are new or have changed since last time; open pages are told of them."""
        changed = {key: decision for key, decision in decisions.items() if self._known.get(key) != decision}
        self._known = decisions
        if changed:
            self.live.send("review", {"decisions": {key: each.model_dump() for key, each in changed.items()}})
        return changed

    def _on_disk(self) -> Decisions:
        try:
            return self.review().decisions
        except ReviewError:
            return {}  # whoever saves is told


def _own_port(folder: Path) -> int:
    """The port of a run folder: always the same, and none that systems give to whoever asks for any."""
    digest = hashlib.sha256(os.fsencode(folder.resolve())).digest()
    return 20_000 + int.from_bytes(digest[:4]) % 10_000
