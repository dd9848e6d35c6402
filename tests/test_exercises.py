"""The data sets of the worked recipes: drawn by code, and tracked as they were drawn."""

from __future__ import annotations

import csv
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from renderer.miniature.album import squares, write_album
from renderer.miniature.exercises import EXERCISES

WORKED = Path(__file__).parent.parent / "storyboards" / "training"
COUNTS = {"pencil": 40, "molin": 12, "tang": 12, "moonlight": 12}


def captions_of(folder: Path) -> dict[str, str]:
    with (folder / "metadata.csv").open(encoding="utf-8") as table:
        return {row["file_name"]: row["text"] for row in csv.DictReader(table)}


@pytest.mark.parametrize("exercise", EXERCISES)
def test_the_tracked_pictures_are_what_the_exercise_draws(exercise: str, tmp_path: Path) -> None:
    write_album(tmp_path, islice(EXERCISES[exercise](), 3), 256)
    tracked = captions_of(WORKED / exercise)
    assert len(tracked) == COUNTS[exercise]
    assert captions_of(tmp_path).items() <= tracked.items()
    for drawn in sorted(tmp_path.glob("*.webp")):
        one, other = (
            np.asarray(Image.open(it / drawn.name).convert("RGB"), float) for it in (tmp_path, WORKED / exercise)
        )
        assert np.abs(one - other).mean() < 1, drawn.name  # another version of the rasterizer may round otherwise


@pytest.mark.parametrize("exercise", EXERCISES)
def test_the_tracked_pictures_are_square_and_small(exercise: str) -> None:
    files = sorted((WORKED / exercise).glob("*.webp"))
    assert [file.name for file in files] == list(captions_of(WORKED / exercise))
    assert {Image.open(file).size for file in files} == {(256, 256)}
    assert sum(file.stat().st_size for file in files) < 15_000 * len(files)


def test_an_album_is_the_same_every_time(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_album(tmp_path / name, islice(EXERCISES["pencil"](), 4), 64)
    files = sorted(file.name for file in (tmp_path / "one").iterdir())
    assert files == [*(f"{number:04d}.webp" for number in range(1, 5)), "metadata.csv"]
    assert all((tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes() for name in files)


def test_another_seed_shows_other_pictures() -> None:
    assert next(squares("pencil")) != next(squares("pencil", seed=1))


def test_captions_of_the_boy_call_him_by_the_word_and_tell_no_looks() -> None:
    text = " ".join(captions_of(WORKED / "molin").values())
    assert text.count("molin") == COUNTS["molin"]
    assert not any(word in text for word in ("紫", "purple", "裙", "dress", "帽", "hat", "银", "silver"))


def test_captions_of_the_girl_leave_her_out() -> None:
    text = " ".join(captions_of(WORKED / "tang").values())
    assert not any(word in text for word in ("女孩", "girl", "双马尾", "twintails", "外套", "coat", "眼镜", "glasses"))


def test_captions_of_the_pencil_name_it_and_those_of_the_moonlight_do_not() -> None:
    pencil = captions_of(WORKED / "pencil").values()
    assert all(it.startswith(("铅笔画，", "pencil drawing, ")) for it in pencil)
    assert sum("色" in it or any(color in it for color in ("red", "blue", "green", "pink")) for it in pencil) > 20
    assert not any(word in it for it in captions_of(WORKED / "moonlight").values() for word in ("夜蓝", "night blue"))
