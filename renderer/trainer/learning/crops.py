"""What the model is shown of a picture: its size, which part of it, and whether it is mirrored.

A picture is resized until it covers the size asked for, what stands over is cropped, and the rest may be mirrored. A
random crop begins at a multiple of eight pixels, the side of a latent: so the distinct views of a picture are few
enough to be cached, and no difference to chance at every pixel can be seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from renderer.kolors.card import ModelCard
from renderer.kolors.sampling import LATENT_FACTOR
from renderer.trainer.recipe import ImageSettings

if TYPE_CHECKING:
    from numpy.random import Generator

Size = tuple[int, int]
"""Width and height in pixels."""

STEPS_OF_A_SIDE = 16
"""Buckets' sides differ by a sixteenth of the square's (64 at 1024), as SDXL's do, on the model's multiple."""
LONGEST = 2.0
"""A bucket's sides are at most so many times the square's, at least one part in so many: aspects from 1:4 to 4:1."""


@dataclass(frozen=True, slots=True)
class View:
    """One way to show a picture: resized to `scaled`, cut to `size` at `left` and `top`, then mirrored or not."""

    scaled: Size
    size: Size
    left: int
    top: int
    mirrored: bool = False

    @property
    def time_ids(self) -> tuple[int, ...]:
        """What the UNet is told of it: height and width before the crop, the crop's top and left, height and width.

        As Kwai's own trainer tells it: "before the crop" is after the resizing, so that an uncropped picture is told
        as pictures are painted. A mirrored picture's left is that of the mirrored one.
        """
        right = self.scaled[0] - self.left - self.size[0]
        left = right if self.mirrored else self.left
        return (self.scaled[1], self.scaled[0], self.top, left, self.size[1], self.size[0])


def center_view(picture: Size, size: Size) -> View:
    """The middle of a picture."""
    scaled = _cover(picture, size)
    return View(scaled, size, (scaled[0] - size[0]) // 2, (scaled[1] - size[1]) // 2)


def random_view(picture: Size, size: Size, image: ImageSettings, chance: Generator) -> View:
    """A part of a picture, mirrored or not, as the recipe asks for it."""
    middle = center_view(picture, size)
    # Drawn whether used or not, so that flips don't depend on crops.
    places, mirrored = chance.random(2), bool(chance.random() < 0.5)
    left, top = middle.left, middle.top
    if image.crop == "random":
        left = _place(middle.scaled[0] - size[0], places[0])
        top = _place(middle.scaled[1] - size[1], places[1])
    return View(middle.scaled, size, left, top, mirrored and image.flip)


def show(picture: Image.Image, view: View) -> Tensor:
    """The view of an RGB picture: fp32 [3, height, width] in -1 … 1."""
    across, down = picture.width / view.scaled[0], picture.height / view.scaled[1]
    right, bottom = view.left + view.size[0], view.top + view.size[1]
    # The part is cut in the same go: a long thin picture is never resized as a whole.
    part = (view.left * across, view.top * down, min(right * across, picture.width), min(bottom * down, picture.height))
    shown = picture.resize(view.size, Image.Resampling.LANCZOS, part)
    if view.mirrored:
        shown = shown.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return torch.from_numpy(np.array(shown)).permute(2, 0, 1).float().div_(127.5).sub_(1)


def size_for(picture: Size, image: ImageSettings, card: ModelCard) -> Size:
    """The size at which a picture is trained: the recipe's, or that of the bucket whose aspect is nearest."""
    if not image.buckets:
        return image.width, image.height
    aspect = log(picture[0] / picture[1])
    return min(bucket_sizes(image, card), key=lambda size: (abs(log(size[0] / size[1]) - aspect), size))


def bucket_sizes(image: ImageSettings, card: ModelCard) -> Sequence[Size]:
    """The sizes of about the recipe's area that the model can paint, narrowest first; the recipe's own is one."""
    area = image.width * image.height
    side = area**0.5
    step = card.multiple * max(1, round(side / STEPS_OF_A_SIDE / card.multiple))
    shortest, longest = max(card.min_size, side / LONGEST), min(card.max_size, side * LONGEST)
    sizes = {(image.width, image.height)}
    for width in range(step, int(longest) + 1, step):
        height = int(min(area / width, longest) // step * step)
        if width >= shortest and height >= shortest:
            sizes.add((width, height))
    return sorted(sizes)


def _cover(picture: Size, size: Size) -> Size:
    """The size of a picture when it just covers `size`."""
    scale = max(size[0] / picture[0], size[1] / picture[1])
    return max(size[0], round(picture[0] * scale)), max(size[1], round(picture[1] * scale))


def _place(room: int, share: float) -> int:
    """Where a crop begins that has `room` pixels to move in; `share` is 0 … 1."""
    return int(share * (room // LATENT_FACTOR + 1)) * LATENT_FACTOR
