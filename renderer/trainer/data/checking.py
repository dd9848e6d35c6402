"""Every picture opened and looked at once: what is wrong with it, and what later steps want to know of it."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from PIL import Image, ImageOps, UnidentifiedImageError

from renderer.files import file_sha256
from renderer.trainer.data.duplicates import outline_of
from renderer.trainer.data.listing import Listed
from renderer.trainer.data.pictures import FORMATS, MAX_PIXELS, MODES, SUFFIXES, flattened, is_deep
from renderer.trainer.data.samples import Finding
from renderer.trainer.data.thumbs import write_thumb

ORIENTATION = 0x0112
"""EXIF's tag of how the camera was held; 1 is upright."""
THREADS = 4
"""More wait for the disk and hold a decoded picture each, which may take 250 MB."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What a look at a picture gave.

    `width` and `height` are its pixels as seen, 0 where it doesn't tell them; `sha256` is its file's, `pixels` that of
    its colours, `outline` what it looks like in 32 bytes, `thumb` the name of its small copy. '' where there is none.
    """

    listed: Listed
    width: int = 0
    height: int = 0
    sha256: str = ""
    pixels: str = ""
    outline: bytes = b""
    thumb: str = ""
    findings: tuple[Finding, ...] = ()

    @property
    def is_good(self) -> bool:
        return not any(finding.left_out for finding in self.findings)


@dataclass(frozen=True, slots=True)
class Needs:
    """What a picture has to have: `width` and `height` in pixels, or, where any aspect will do, their area; a caption,
    unless it can do without.
    """

    width: int
    height: int
    any_aspect: bool = False
    upscale: bool = False
    caption: bool = True

    def lack(self, width: int, height: int) -> str:
        """Why a picture of that size is too small, '' if it isn't."""
        enough = width * height >= self.width * self.height
        if not self.any_aspect:
            enough = width >= self.width and height >= self.height
        if enough or self.upscale:
            return ""
        wanted = f"{self.width}x{self.height}"
        return f"it has {width}x{height} pixels; {f'as many as {wanted}' if self.any_aspect else wanted} are asked for."


def check_pictures(
    pictures: Sequence[Listed], needs: Needs, thumbs: Path, tell: Callable[[int, int], None]
) -> list[Checked]:
    """Each picture looked at, in order; small copies of those that can be read are written into `thumbs`.

    Raises OSError where those can't be written.
    """
    checked: list[Checked] = []
    with warnings.catch_warnings(), ThreadPoolExecutor(min(THREADS, os.cpu_count() or 1)) as pool:
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # told as a finding
        with closing(_all(pool, pictures, needs, thumbs)) as results:
            for result in results:
                checked.append(result)
                tell(len(checked), len(pictures))
    return checked


def _all(pool: ThreadPoolExecutor, pictures: Sequence[Listed], needs: Needs, thumbs: Path) -> Generator[Checked]:
    """As `pool.map`, but what has not begun is dropped when the reader stops."""
    futures = [pool.submit(check_picture, listed, needs, thumbs) for listed in pictures]
    try:
        for future in futures:
            yield future.result()
    finally:
        for future in futures:
            future.cancel()


def check_picture(listed: Listed, needs: Needs, thumbs: Path) -> Checked:
    """One picture looked at. Raises OSError where its small copy can't be written."""
    size, fault, sha256 = (0, 0), None, ""
    try:
        sha256 = file_sha256(listed.path)
        with Image.open(listed.path, formats=FORMATS) as image:
            size, fault = image.size, _fault(image, listed)
            if fault is not None and fault.reason == "bomb":
                return Checked(listed, *size, sha256, findings=(fault,))
            image.load()
            turned = image.getexif().get(ORIENTATION, 1) in range(2, 9)
            seen = flattened(ImageOps.exif_transpose(image))
    except Exception as error:  # whatever a stranger's file makes Pillow raise
        fault = fault or _found(listed, *_broken(listed.path, error))
        return Checked(listed, *size, sha256, findings=(fault,))
    findings = [fault] if fault else []
    if lack := needs.lack(*seen.size):
        findings.append(_found(listed, "too_small", lack))
    if needs.caption and not listed.caption:
        findings.append(_found(listed, "no_caption", listed.lack))
    if turned:
        note = "its EXIF data says that it lies on its side: it is used upright."
        findings.append(Finding(listed.name, "checked", "turned", note, left_out=False))
    return Checked(
        listed,
        *seen.size,
        sha256,
        hashlib.sha256(f"{seen.size}".encode() + seen.tobytes()).hexdigest(),
        outline_of(seen),
        write_thumb(seen, thumbs, sha256),
        tuple(findings),
    )


def _fault(image: Image.Image, listed: Listed) -> Finding | None:
    """What is wrong with a picture that its file's beginning tells, before any pixel is read."""
    width, height = image.size
    suffix = PurePosixPath(listed.name).suffix.lower()
    if width * height > MAX_PIXELS:
        megapixels = f"it would unpack to {width * height / 1e6:.0f} megapixels, {width}x{height}"
        return _found(listed, "bomb", f"{megapixels}; at most {MAX_PIXELS / 1e6:.0f} are read.")
    if suffix not in SUFFIXES[image.format or ""]:
        named = f"it is named {suffix}, but is a {image.format} file"
        return _found(listed, "wrong_extension", f"{named}: rename it to {SUFFIXES[image.format or ''][0]}.")
    if image.format != "MPO" and getattr(image, "is_animated", False):
        return _found(listed, "animated", "it holds several pictures: save the one that is meant by itself.")
    if image.mode not in MODES and not is_deep(image):
        kind = "the colours of print (CMYK)" if image.mode == "CMYK" else f"colours of the kind {image.mode}"
        return _found(listed, "colours", f"it has {kind}, which would turn out wrong: save it as RGB.")
    return None


def _broken(path: Path, error: Exception) -> tuple[str, str]:
    """A word for why a picture can't be read, and what to tell a person."""
    if isinstance(error, Image.DecompressionBombError):
        return "bomb", f"it would unpack to more than {MAX_PIXELS / 1e6:.0f} megapixels."
    if isinstance(error, PermissionError):
        return "unreadable", "its file can't be read: permission denied."
    try:
        with path.open("rb") as file:
            head = file.read(16)
    except OSError as refused:
        return "unreadable", f"its file can't be read: {refused.strerror or refused}."
    if not head:
        return "empty", "its file is empty."
    if "truncated" in str(error).lower():
        return "truncated", "its file ends too early: fetch or save it again."
    if isinstance(error, UnidentifiedImageError) and not head.startswith(_HEADS):
        return "no_picture", "its file is no picture, or of a kind that is not read here."
    return "damaged", f"its file is damaged ({error or type(error).__name__})."


_HEADS = (b"\xff\xd8\xff", b"\x89PNG", b"RIFF", b"GIF8", b"BM", b"II*\0", b"MM\0*", b"\0\0\0 ftypavif")
"""What files of the kinds that are read begin with."""


def _found(listed: Listed, reason: str, detail: str) -> Finding:
    return Finding(listed.name, "checked", reason, detail)
