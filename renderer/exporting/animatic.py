"""The animatic as a film: H.264 in an MP4, made by ffmpeg."""

from __future__ import annotations

import errno
import subprocess
from pathlib import Path

from renderer.errors import StoryboardError
from renderer.exporting.frames import film
from renderer.exporting.panels import Reel
from renderer.exporting.target import workplace
from renderer.looking.text import visible
from renderer.metadata import SOURCE_TYPE

WIDTH = 1280
ENCODER = (
    *("-an", "-c:v", "libx264", "-preset", "veryfast", "-tune", "stillimage", "-crf", "18"),
    *("-movflags", "+faststart", "-fflags", "+bitexact", "-flags:v", "+bitexact"),
)
"""Every player and editor reads this; nothing in it tells when it was made."""
COLOURS = (
    "scale=out_color_matrix=bt709:out_range=tv,format=yuv420p,"
    "setparams=colorspace=bt709:color_primaries=bt709:color_trc=bt709"
)
"""Marked, so that no player has to guess."""

INSTALL = "Install it with `pip install imageio-ffmpeg`, or install an ffmpeg that has the H.264 encoder libx264."


def write_mp4(reel: Reel, draft: Path) -> None:
    """The film, 1280 pixels wide by default. Raises StoryboardError where ffmpeg is missing or refuses."""
    ffmpeg = _ffmpeg()
    with workplace(draft) as folder:
        frames = _write_pictures(reel, folder)
        command = [
            *(ffmpeg, "-hide_banner", "-loglevel", "error", "-y", "-f", "concat", "-i", "pictures.txt"),
            # Repeated after they are converted: each picture is read and converted once, however long it stays.
            *("-vf", f"{COLOURS},fps={reel.fps}", "-frames:v", str(frames), *ENCODER),
            *("-metadata", f"title={visible(reel.manifest.title)}", "-metadata", f"comment={SOURCE_TYPE}"),
            *("-f", "mp4", str(draft.absolute())),
        ]
        try:
            done = subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True)
        except OSError as error:
            raise StoryboardError(f"{ffmpeg} can't be run: {error.strerror}. {INSTALL}") from error
    if done.returncode:
        _refuse(done.stderr.decode("utf-8", "replace").strip())


def _write_pictures(reel: Reel, folder: Path) -> int:
    """The film's pictures as files, and a list that tells ffmpeg how long each stays; returns the number of frames."""
    lines, total = ["ffconcat version 1.0"], 0
    for number, (image, count) in enumerate(film(reel, reel.frame_size(reel.width or WIDTH), reel.fps)):
        image.save(folder / f"{number}.png", compress_level=1)
        total += count
        lines += [f"file {number}.png", f"duration {count / reel.fps:.6f}"]
    lines.append(lines[-2])  # of the last picture the duration is ignored unless another follows
    (folder / "pictures.txt").write_text("\n".join(lines), encoding="ascii")
    return total


def _refuse(words: str) -> None:
    """Raises what ffmpeg says, as far as it can be told from its words."""
    if "No space left" in words:
        raise OSError(errno.ENOSPC, "No space left on device")
    reason = words.splitlines()[-1] if words else "it does not say why"
    raise StoryboardError(f"ffmpeg could not write the film: {reason}. {INSTALL}")


def _ffmpeg() -> str:
    """The program that imageio-ffmpeg brings along, or the system's."""
    try:
        from imageio_ffmpeg import get_ffmpeg_exe

        return str(get_ffmpeg_exe())
    except (ImportError, RuntimeError) as error:
        raise StoryboardError(f"A film needs ffmpeg, and there is none here. {INSTALL}") from error
