"""Small copies of a data set's pictures, for its page."""

from __future__ import annotations

import io
from pathlib import Path
from threading import get_ident

from PIL import Image

THUMBS = "thumbs"
SIDE = 288
"""The longer side in pixels: sharp at the size of the page's tiles on dense screens, about 10 KB each."""
QUALITY = 80


def write_thumb(picture: Image.Image, folder: Path, sha256: str) -> str:
    """The name of a picture's small copy in `folder`, written where it isn't there. Raises OSError."""
    path = folder / f"{sha256[:16]}.webp"
    if not path.exists():
        small = picture.copy()
        small.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS, reducing_gap=3)
        buffer = io.BytesIO()
        small.save(buffer, format="WEBP", quality=QUALITY, method=3)
        # Equal pictures have one small copy, and may be looked at at once.
        part = path.with_suffix(f".{get_ident()}.part")
        part.write_bytes(buffer.getvalue())
        part.replace(path)
    return path.name


def keep_thumbs(folder: Path, names: set[str]) -> None:
    """Removes the small copies of pictures that are no more. Raises OSError."""
    for path in folder.iterdir():
        if path.name not in names:
            path.unlink()
