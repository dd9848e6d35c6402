"""Small WebP copies of pictures, so that a sheet of thousands opens at once."""

from __future__ import annotations

import io
import logging
from pathlib import Path

from PIL import Image

from renderer.files import write_atomically
from renderer.inventory import KEY_DIGITS

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
    path = folder / THUMBS / f"{key[:KEY_DIGITS]}.webp"
    try:
        if path.stat().st_mtime_ns >= picture.stat().st_mtime_ns:
            return path
    except OSError:
        pass
    content = _reduced(picture)
    if content is None:
        return None
    path.parent.mkdir(exist_ok=True)
    write_atomically(path, content)
    return path


def _reduced(picture: Path) -> bytes | None:
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
