"""Small WebP copies of pictures, so that a sheet of thousands opens at once."""

from __future__ import annotations

import io
import logging
import os
from collections.abc import Mapping
from pathlib import Path

from renderer.files import write_atomically
from renderer.inventory import KEY_DIGITS
from renderer.looking.parallel import cores, in_order

THUMBS = "thumbs"
SIDE = 512
"""The longer side of a thumbnail in pixels; smaller pictures keep their size."""
QUALITY = 82

log = logging.getLogger(__name__)


def thumbnail(picture: Path, folder: Path, key: str) -> Path | None:
    """The small copy of a picture, `thumbs/<first 12 digits of its key>.webp` in `folder`, made where it isn't there.

    Its longer side is at most 512 pixels; it is made anew where the picture is newer. None if the picture can't be
    read. Raises OSError where the copy can't be written.
    """
    return thumbnails({key: picture}, folder).get(key)


def thumbnails(pictures: Mapping[str, Path], folder: Path) -> dict[str, Path]:
    """The small copies of pictures by key, as `thumbnail` makes them, those that aren't there several at once.

    Pictures that can't be read have none. Raises OSError where a copy can't be written.
    """
    paths = {key: folder / THUMBS / f"{key[:KEY_DIGITS]}.webp" for key in pictures}
    wanted = [key for key, path in paths.items() if not _is_there(path, pictures[key])]
    if wanted:
        (folder / THUMBS).mkdir(exist_ok=True)
    made = in_order(lambda key: _reduced(pictures[key]), wanted, at_once=min(cores(), len(wanted)))
    for key, content in zip(wanted, made, strict=True):
        if content is None:
            del paths[key]
        else:
            write_atomically(paths[key], content)
    return paths


def _is_there(small: Path, picture: Path) -> bool:
    try:
        return os.stat(small).st_mtime_ns >= os.stat(picture).st_mtime_ns
    except OSError:
        return False


def _reduced(picture: Path) -> bytes | None:
    from PIL import Image

    try:
        with Image.open(picture) as image:
            small = image.convert("RGB")
            small.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:  # Pillow's, for damaged files
        log.warning("%s can't be shown: %s", picture, error)
        return None
    buffer = io.BytesIO()
    small.save(buffer, format="WEBP", quality=QUALITY, method=3)
    return buffer.getvalue()
