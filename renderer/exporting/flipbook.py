"""The animatic as a GIF: small, silent, and shown anywhere, chat windows included."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from renderer.errors import StoryboardError
from renderer.exporting.frames import film
from renderer.exporting.panels import Reel
from renderer.metadata import SOURCE_TYPE

WIDTH = 480
HUNDREDTHS = 100
"""GIF counts time in hundredths of a second …"""
LONGEST = 65_535
"""… and has two bytes for them."""
COLOURS = 255
"""One of 256 is left for what stays as it was in the frame before."""


def write_gif(reel: Reel, draft: Path) -> None:
    """The film with a palette of its own for each picture, 480 pixels wide by default, in an endless loop."""
    _check_durations(reel)
    size = reel.frame_size(reel.width or WIDTH)
    pictures = [(_with_palette(image), count) for image, count in film(reel, size, HUNDREDTHS)]
    first, *others = [image for image, _ in pictures]
    first.save(
        draft,
        format="GIF",
        save_all=True,
        append_images=others,
        duration=[count * 1000 // HUNDREDTHS for _, count in pictures],
        loop=0,
        comment=SOURCE_TYPE,
    )


def _with_palette(image: Image.Image) -> Image.Image:
    return image.quantize(COLOURS, dither=Image.Dither.FLOYDSTEINBERG)


def _check_durations(reel: Reel) -> None:
    for panel, span in zip(reel.panels, reel.spans(HUNDREDTHS), strict=True):
        if span.frames > LONGEST:
            raise StoryboardError(
                f"Scene {panel.name} lasts {panel.scene.duration:g} s, and a GIF shows a picture for 655 s at most. "
                "Shorten it, or export with --to mp4."
            )
