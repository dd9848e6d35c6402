"""Small WebP copies of pictures, so that a sheet of thousands opens at once."""

from __future__ import annotations

import io
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from renderer.files import write_cached
from renderer.inventory import KEY_DIGITS
from renderer.looking.parallel import cores, in_order

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

THUMBS = "thumbs"
SIDE = 512
"""The longer side of a thumbnail in pixels; smaller pictures keep their size."""
QUALITY = 82
METHOD = 2
"""Of WebP's 0 (fast) to 6 (small): half the time of 3 and 4, for files that are 2 % larger."""

TOGETHER = 16
"""Pictures that a thread takes on at once: handing over each of thousands alone costs as much as reading one."""

log = logging.getLogger(__name__)


def thumbnail(picture: Path, folder: Path, key: str) -> Path | None:
    """The small copy of a picture, `thumbs/<first 12 digits of its key>.webp` in `folder`, made where it isn't there.

    Its longer side is at most 512 pixels; it is made anew where the picture is newer, or where a power cut left it
    torn. None if the picture can't be read. Raises OSError where the copy can't be written.
    """
    return thumbnails({key: picture}, folder).get(key)


def thumbnails(pictures: Mapping[str, Path], folder: Path) -> dict[str, Path]:
    """The small copies of pictures by key, as `thumbnail` makes them, those that aren't there several at once.

    Pictures that can't be read have none. Raises OSError where a copy can't be written.
    """
    paths = {key: _place(folder, key) for key in pictures}
    wanted = [key for key, path in paths.items() if not _is_there(path, pictures[key])]
    if wanted:
        (folder / THUMBS).mkdir(exist_ok=True)

    def make(keys: list[str]) -> list[str]:
        return [key for key in keys if not _made(pictures[key], paths[key])]

    groups = [wanted[start : start + TOGETHER] for start in range(0, len(wanted), TOGETHER)]
    for unreadable in in_order(make, groups, at_once=min(cores(), len(groups))):
        for key in unreadable:
            del paths[key]
    return paths


def keep_thumbnail(pixels: NDArray[np.uint8], picture: Path, folder: Path, key: str) -> None:
    """Makes the small copy of a picture file where it isn't there, from its pixels: nobody has to decode it for that.

    `pixels` is uint8 [height, width, 3], RGB. Raises OSError where the copy can't be written.
    """
    from PIL import Image

    path = _place(folder, key)
    if not _is_there(path, picture):
        path.parent.mkdir(exist_ok=True)
        write_cached(path, _encoded(Image.fromarray(pixels)))


def _place(folder: Path, key: str) -> Path:
    return folder / THUMBS / f"{key[:KEY_DIGITS]}.webp"


def _is_there(small: Path, picture: Path) -> bool:
    """Whether a small copy is as new as its picture, and as long as its first bytes say.

    A copy that was never synced may be empty or cut off after a power cut.
    """
    try:
        file = os.open(small, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        try:
            start, status = os.read(file, 8), os.fstat(file)
        finally:
            os.close(file)
        whole = start[:4] == b"RIFF" and int.from_bytes(start[4:], "little") + 8 == status.st_size
        return whole and status.st_mtime_ns >= os.stat(picture).st_mtime_ns
    except OSError:
        return False


def _made(picture: Path, place: Path) -> bool:
    """Whether the small copy of a picture could be made, and lies in its place now."""
    content = _reduced(picture)
    if content is not None:
        write_cached(place, content)
    return content is not None


def _reduced(picture: Path) -> bytes | None:
    from PIL import Image

    try:
        with Image.open(picture) as image:
            image.load()
        whole = image if image.mode == "RGB" else image.convert("RGB")  # which would copy it
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:  # Pillow's, for damaged files
        log.warning("%s can't be shown: %s", picture, error)
        return None
    return _encoded(whole)


def _encoded(image: Image.Image) -> bytes:
    """The small copy of a picture as a file's bytes; the picture itself stays as it is."""
    from PIL.Image import Resampling

    small = image
    if max(image.size) > SIDE:
        small = image.copy()
        small.thumbnail((SIDE, SIDE), Resampling.LANCZOS)
    buffer = io.BytesIO()
    small.save(buffer, format="WEBP", quality=QUALITY, method=METHOD)
    return buffer.getvalue()
