"""Where models are pulled from: a list of files with their hashes, each readable from any byte on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from renderer.errors import ModelError
from renderer.kolors.card import read_card

CHUNK = 1024 * 1024
TIMEOUT = (15, 60)
"""Seconds to connect, and to wait for the next bytes."""


class Interrupted(Exception):
    """The connection broke; what has arrived is good, and the rest can be asked for."""


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file of a model: its path inside the model (with /), size in bytes, and sha256 ('' where unknown)."""

    path: str
    size: int
    sha256: str = ""


class Hub(Protocol):
    """A place that has models' files."""

    def files(self) -> list[RemoteFile]:
        """All files of the model. Raises ModelError."""
        ...

    def read(self, path: str, offset: int) -> tuple[int, Iterator[bytes]]:
        """Where the bytes really begin (`offset`, or 0 where the place can't skip), and the bytes from there on.

        The iterator raises Interrupted when the connection breaks, as does the call itself.
        """
        ...


class ModelScope:
    """A model on ModelScope, or on a mirror with the same interface (`endpoint`, a URL)."""

    def __init__(self, model: str, endpoint: str | None = None, revision: str = "master") -> None:
        self.model = model
        self.endpoint = endpoint
        self.revision = revision

    def files(self) -> list[RemoteFile]:
        from modelscope_hub import HubApi
        from modelscope_hub.errors import HubError
        from requests import RequestException

        try:
            self.endpoint = HubApi(endpoint=self.endpoint).resolve_endpoint_for_read(self.model)
            listed = HubApi(endpoint=self.endpoint).list_repo_files(self.model, "model", revision=self.revision)
        except (HubError, RequestException, OSError) as error:
            raise ModelError(
                f"{self.model} can't be listed on ModelScope: {error}. Check the connection and run the same command "
                "again; or take a mirror (--mirror URL), or a folder that has the model (--from FOLDER)."
            ) from error
        return [RemoteFile(it.path, it.size, it.sha256 or "") for it in listed if it.type == "blob"]

    def read(self, path: str, offset: int) -> tuple[int, Iterator[bytes]]:
        import requests
        from modelscope_hub import HubApi

        url = HubApi(endpoint=self.endpoint).legacy.get_download_url(self.model, "model", path, self.revision)
        headers = {"Range": f"bytes={offset}-"} if offset else {}
        try:
            response = requests.get(url, headers=headers, stream=True, timeout=TIMEOUT)
            response.raise_for_status()
        except (requests.RequestException, OSError) as error:
            raise Interrupted(str(error)) from error
        return (offset if response.status_code == 206 else 0), _chunks(response)


class Folder:
    """A folder that holds the model: a disk carried over, or another program's download. Its card says the hashes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def files(self) -> list[RemoteFile]:
        if not self.folder.is_dir():
            raise ModelError(f"{self.folder}: no such folder")
        recorded = read_card(self.folder).files
        found = {it.relative_to(self.folder).as_posix(): it for it in self.folder.rglob("*") if it.is_file()}
        return [RemoteFile(name, it.stat().st_size, recorded.get(name, "")) for name, it in sorted(found.items())]

    def read(self, path: str, offset: int) -> tuple[int, Iterator[bytes]]:
        return offset, _file_chunks(self.folder / path, offset)


def _chunks(response: object) -> Iterator[bytes]:
    import requests

    assert isinstance(response, requests.Response)
    try:
        with response:
            yield from response.iter_content(CHUNK)
    except (requests.RequestException, OSError) as error:
        raise Interrupted(str(error)) from error


def _file_chunks(file: Path, offset: int) -> Iterator[bytes]:
    try:
        with file.open("rb") as opened:
            opened.seek(offset)
            while chunk := opened.read(CHUNK):
                yield chunk
    except OSError as error:
        raise Interrupted(str(error)) from error
