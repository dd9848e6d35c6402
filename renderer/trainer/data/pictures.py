"""Picture files: which kinds are read, and how a model sees them: upright, RGB, without transparency."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

SUFFIXES = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "MPO": (".jpg", ".jpeg", ".jpe", ".mpo"),
    "PNG": (".png", ".apng"),
    "WEBP": (".webp",),
    "BMP": (".bmp", ".dib"),
    "GIF": (".gif",),
    "TIFF": (".tif", ".tiff"),
    "AVIF": (".avif",),
}
"""The formats that are read, by Pillow's names, and what their files are called. MPO is a phone's JPEG with more after
its picture, such as a map of depths; Pillow finds it where it reads a JPEG."""
FORMATS = tuple(name for name in SUFFIXES if name != "MPO")
PICTURE_SUFFIXES = frozenset(suffix for suffixes in SUFFIXES.values() for suffix in suffixes)
OTHER_SUFFIXES = frozenset({".heic", ".heif", ".jxl", ".jp2", ".psd", ".svg", ".tga", ".ico"})
"""Pictures too, but not read here: people are told, instead of missing them in silence."""
MAX_PIXELS = Image.MAX_IMAGE_PIXELS or 89_478_485
"""More than a data set's pictures have; a file of a few kilobytes can claim to hold them. Pillow's own limit."""

MODES = frozenset({"1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX"})
"""Pillow's ways to hold colours that turn into RGB without guessing, besides 16-bit greys."""


def open_picture(path: Path) -> Image.Image:
    """The picture in a file: RGB, 8 bits, turned upright as its EXIF data asks, what is transparent over white.

    Raises what Pillow raises for damaged files: OSError, ValueError, SyntaxError or DecompressionBombError.
    """
    with Image.open(path, formats=FORMATS) as image:
        return flattened(ImageOps.exif_transpose(image))


def flattened(image: Image.Image) -> Image.Image:
    """A picture in RGB, 8 bits, with what is transparent over white."""
    if is_deep(image):
        # Pillow cuts 16-bit greys off at 255; their upper eight bits are the picture.
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if not image.has_transparency_data:
        return image.convert("RGB")
    layer = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")


def is_deep(image: Image.Image) -> bool:
    """Whether a picture holds greys of 16 bits."""
    return image.mode.startswith("I;16")
