"""Pulling a model: only the files that are used, resumed where they broke off, and checked byte for byte."""

from __future__ import annotations

import errno
import logging
import os
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path, PurePosixPath

from renderer.errors import ModelError
from renderer.files import file_sha256
from renderer.kolors.card import CARD_FILE, KOLORS, missing_parts, model_folders, read_card, record_digest
from renderer.kolors.hub import Folder, Hub, Interrupted, ModelScope, RemoteFile
from renderer.kolors.layout import COMPONENTS, STEMS, used_files

log = logging.getLogger(__name__)

SOURCES = {KOLORS.name: "Kwai-Kolors/Kolors-diffusers"}
"""What is pulled by name; the original edition, `Kwai-Kolors/Kolors`, works as a source too."""
TRIES = 5
"""Broken connections in a row, without a byte between them, after which a pull gives up. It can be resumed."""

Report = Callable[[str, int, int], None]
"""Hears of the file in hand, the bytes that are here, and the bytes that will be, both of the whole model."""


def pull(
    name: str,
    into: Path | None = None,
    source: Hub | str | Path | None = None,
    mirror: str | None = None,
    progress: Report = lambda file, done, total: None,
) -> Path:
    """The folder of a whole, verified model: `into`/`name`, where `into` is by default where models are looked for.

    `source` is a model's name on ModelScope (by default the one known for `name`), or a folder that holds the model;
    `mirror` is another server with ModelScope's interface. Running the same call again goes on where it stopped.
    Raises ModelError.
    """
    if PurePosixPath(name).name != name or name in ("", ".", ".."):
        raise ModelError(f'"{name}" is no name for a model: give one word, such as {KOLORS.name}')
    hub = _hub(name, source, mirror)
    folder = (into or model_folders()[0]) / name
    wanted = choose(hub.files())
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _check_room(folder, wanted)
        _fetch_all(hub, wanted, folder, progress)
    except OSError as error:
        raise ModelError(_disk_words(folder, error)) from error
    problems = missing_parts(folder)
    if problems:
        raise ModelError(f"{folder}: the source is not a whole model: {'; '.join(problems[:4])}")
    if not read_card(folder).files:
        record_digest(folder)
    return folder


def choose(files: Sequence[RemoteFile]) -> list[RemoteFile]:
    """The files of a model that are used, small ones first: for each component the smallest whole kind of weights.

    Half-precision weights are half the download, and are what a GPU paints with. Raises ModelError where a component
    has none, and for names that would lead out of the folder.
    """
    for file in files:
        if PurePosixPath(file.path).is_absolute() or ".." in PurePosixPath(file.path).parts or "\\" in file.path:
            raise ModelError(f"the source has a file of the dangerous name {file.path!r}: nothing was pulled")
    chosen = [file for file in files if _SMALL.fullmatch(file.path)]
    for component in COMPONENTS:
        weights = next((found for found in _kinds(files, component) if found), None)
        if weights is None:
            raise ModelError(f"the source has no weights of the {component}: it is not a model in Kolors' layout")
        chosen += weights
    return sorted(chosen, key=lambda file: (file.size, file.path))


def verify(folder: Path) -> list[str]:
    """What differs from the hashes that were recorded when the model was pulled or first used; [] for nothing.

    Reads all weights: seconds per 10 GB. Raises ModelError where nothing was recorded.
    """
    recorded = read_card(folder).files
    if not recorded:
        raise ModelError(f"{folder / CARD_FILE}: no hashes are recorded to compare with")
    problems = missing_parts(folder)
    for name, sha256 in sorted(recorded.items()):
        file = folder / name
        if file.is_file() and file_sha256(file) != sha256:
            problems.append(f"{name}: differs from what was pulled. Delete it and run: storyboard models pull kolors")
    used = {file.relative_to(folder).as_posix() for file in used_files(folder)}
    return problems + [f"{name}: not there when the model was pulled" for name in sorted(used - recorded.keys())]


_SMALL = re.compile(
    r"(model_index\.json|(MODEL_)?LICENSE[^/]*|README[^/]*\.md|scheduler/scheduler_config\.json|tokenizer/[^/]+"
    r"|(unet|vae|text_encoder)/config\.json|model\.json)"
)
_KINDS = (
    (r"{stem}\.fp16\.safetensors", r"{stem}(\.fp16-\d+-of-\d+\.safetensors|\.safetensors\.index\.fp16\.json)"),
    (r"{stem}\.safetensors", r"{stem}(-\d+-of-\d+\.safetensors|\.safetensors\.index\.json)"),
    (r"{stem}\.bin", r"{stem}(-\d+-of-\d+\.bin|\.bin\.index\.json)"),
)
"""Kinds of weights, the one to pull first: in one file, or in shards with their index."""


def _kinds(files: Sequence[RemoteFile], component: str) -> Iterator[list[RemoteFile]]:
    stems = "|".join(next(names for key, names in STEMS.items() if key == component))
    for patterns in _KINDS:
        for pattern in patterns:
            whole = re.compile(f"{component}/" + pattern.replace("{stem}", f"({stems})"))
            yield [file for file in files if whole.fullmatch(file.path)]


def _hub(name: str, source: Hub | str | Path | None, mirror: str | None) -> Hub:
    if isinstance(source, Path):
        return Folder(source)
    if source is not None and not isinstance(source, str):
        return source
    if source is None and name not in SOURCES:
        raise ModelError(f'nothing is known to pull for "{name}": known is {", ".join(SOURCES)}; or name a source')
    return ModelScope(source or SOURCES[name], mirror)


def _fetch_all(hub: Hub, files: Sequence[RemoteFile], folder: Path, progress: Report) -> None:
    total, done = sum(file.size for file in files), 0

    def arrived(name: str, before: int, here: int) -> None:
        progress(name, before + here, total)

    for file in files:
        fetch(hub, file, folder / file.path, partial(arrived, file.path, done))
        done += file.size
        progress(file.path, done, total)


def fetch(hub: Hub, file: RemoteFile, target: Path, progress: Callable[[int], None]) -> None:
    """Brings one file to `target`, whole and of the right hash or not at all. A `.part` beside it is gone on with.

    Raises ModelError, OSError. `progress` hears how many bytes are here.
    """
    if target.is_file() and _is(target, file):
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    for again in (True, False):
        _receive(hub, file, part, progress)
        if _is(part, file):
            os.replace(part, target)
            return
        log.warning("%s arrived damaged%s", file.path, ": fetching it again" if again else "")
        part.unlink()
    raise ModelError(f"{file.path}: twice its content was not what the source announces. Try again later.")


def _receive(hub: Hub, file: RemoteFile, part: Path, progress: Callable[[int], None]) -> None:
    """Fills `part` up to the file's size, over as many connections as it takes."""
    failures = 0
    while (here := part.stat().st_size if part.exists() else 0) < file.size or not part.exists():
        try:
            begin, chunks = hub.read(file.path, here)
            with part.open("r+b" if part.exists() else "wb") as opened:
                opened.truncate(begin)
                opened.seek(begin)
                for chunk in chunks:
                    opened.write(chunk)
                    progress(min(opened.tell(), file.size))
                    if opened.tell() > file.size:
                        break
                opened.flush()
                os.fsync(opened.fileno())
            if part.stat().st_size <= here < file.size:
                raise Interrupted("the source sent nothing more")
            failures = 0
        except Interrupted as error:
            arrived = part.exists() and part.stat().st_size > here
            failures = 0 if arrived else failures + 1
            log.info("%s: the connection broke (%s)", file.path, error)
            if failures >= TRIES:
                raise ModelError(
                    f"{file.path}: the connection breaks again and again ({error}). "
                    "What has arrived is kept: run the same command again to go on."
                ) from error


def _is(path: Path, file: RemoteFile) -> bool:
    """Whether a file here is the one over there, as far as the source tells."""
    return path.stat().st_size == file.size and (not file.sha256 or file_sha256(path) == file.sha256.lower())


def _check_room(folder: Path, files: Sequence[RemoteFile]) -> None:
    here = sum(_size(folder / file.path) + _size(folder / (file.path + ".part")) for file in files)
    needed, free = sum(file.size for file in files) - here, shutil.disk_usage(folder).free
    if needed > free:
        raise OSError(errno.ENOSPC, f"{_gigabytes(needed)} are needed, {_gigabytes(free)} are free")


def _disk_words(folder: Path, error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return (
            f"{folder}: the disk is full ({error.strerror}). Free some space and run the same command again to go on."
        )
    return f"{folder}: can't be written: {error.strerror or error}"


def _size(file: Path) -> int:
    return file.stat().st_size if file.is_file() else 0


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:.1f} GB"
