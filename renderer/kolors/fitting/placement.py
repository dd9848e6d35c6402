"""What is to be painted, in what room, and how: the data of placements. Needs no torch."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from renderer.kolors.card import Precision
from renderer.take import TakeHypernetwork

Kind = Literal["cuda", "mps", "cpu"]
Unet = Literal["whole", "streamed"]
Decoding = Literal["whole", "waiting", "tiles"]


@dataclass(frozen=True, slots=True)
class Job:
    """What is to be painted: a size in pixels, and all that decides how much memory that takes.

    `keeping` says that deep features are kept from step to step; `added` are the bytes of hypernetworks.
    """

    width: int
    height: int
    precision: Precision
    guided: bool = True
    strict: bool = False
    keeping: bool = False
    added: int = 0


@dataclass(frozen=True, slots=True)
class Room:
    """Bytes that this process could have: `free` on the device, `host` in the computer's memory (None: not known)."""

    kind: Kind
    free: int
    host: int | None = None


@dataclass(frozen=True, slots=True)
class Placement:
    """`unet` is on the device or streamed to it; `apart` says that negative and prompt go through it one after the
    other; `batch` pictures at a time; `peak` is the most that all takes of the device, in bytes, estimated; `roomy`
    says that there is room besides for working memory that CUDA graphs keep.
    """

    unet: Unet
    apart: bool
    batch: int
    decoding: Decoding
    peak: int
    roomy: bool = False

    @property
    def exact(self) -> bool:
        """Whether the picture's numbers are those of any other exact placement with the same batch."""
        return not self.apart and self.decoding != "tiles"

    @property
    def plain(self) -> bool:
        """Whether nothing is done on account of a small memory but painting fewer pictures at a time."""
        return self.unet == "whole" and not self.apart and self.decoding == "whole"

    def __str__(self) -> str:
        """In words: `the whole UNet, 2 pictures at a time, decoded whole: about 11.3 GB`."""
        unet = {"whole": "the whole UNet", "streamed": "UNet streamed from the computer's memory"}[self.unet]
        at_once = "one picture at a time" if self.batch == 1 else f"{self.batch} pictures at a time"
        apart = ", negative and prompt one after the other" * self.apart
        decoding = {
            "whole": "decoded whole",
            "waiting": "decoded while the UNet waits in the computer's memory",
            "tiles": "decoded in tiles",
        }[self.decoding]
        return f"{unet}, {at_once}{apart}, {decoding}: about {gigabytes(self.peak)}"


def bytes_of(hypernetworks: Iterable[TakeHypernetwork]) -> int:
    """At most what they take of a device: the sizes of their files."""
    return sum(it.path.stat().st_size for it in hypernetworks if it.strength and it.path)


def gigabytes(size: float) -> str:
    """`7.1 GB`"""
    return f"{size / 1e9:.1f} GB"
